"""Muon: the momentum of a matrix, orthogonalised (kellerjordan.github.io/posts/muon; 2502.16982).

Muon needs whole matrices, and ZeRO cuts them up. Here each rank keeps the momentum of its own
shard, as with AdamW; for a step the shards of every matrix go to one rank, which orthogonalises
it, and its parts go back: two exchanges of all ranks, and the work of Newton-Schulz divided among
them. So every ZeRO stage takes the same step, after clipping, and checkpoints are as for AdamW.

DeepSpeed's own (deepspeed/runtime/zero/muon, 0.19.8) was not taken: in stages 1 to 3 it
orthogonalises before the norm of the gradients is measured and clipped, so that norm and clipping
are those of the update and differ from stage 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration (github.com/KellerJordan/Muon, muon.py)."""
EPSILON = 1e-7
"""Smallest norm that a matrix is divided by."""


def orthogonalize(matrix: torch.Tensor, steps: int, dtype: torch.dtype) -> torch.Tensor:
    """Nearly the nearest orthogonal matrix: singular values go to 0.7 to 1.2 (Newton-Schulz).

    Args:
        dtype: of the iteration; the answer has it too.
    """
    import torch

    a, b, c = COEFFICIENTS
    wide = matrix.to(dtype)
    tall = matrix.shape[0] > matrix.shape[1]
    if tall:
        wide = wide.T
    wide = wide / wide.norm().clamp(min=EPSILON)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.T if tall else wide


def update_of(matrix: torch.Tensor, steps: int) -> torch.Tensor:
    """What a matrix of momentum comes to: orthogonalised, times sqrt(rows / columns) where it is
    tall, so that the update's effect does not depend on the shape (muon.py, as above)."""
    import torch

    # bf16 as in the reference on GPUs, where it is fast; CPUs have fp32.
    dtype = torch.bfloat16 if matrix.is_cuda else torch.float32
    rows, columns = matrix.shape
    return orthogonalize(matrix, steps, dtype).to(matrix.dtype) * math.sqrt(max(1, rows / columns))


@dataclass(frozen=True)
class Piece:
    """A stretch of a matrix in a rank's flat shard. All numbers count elements."""

    rank: int
    start: int
    """In the shard."""
    offset: int
    """In the matrix, row by row."""
    length: int


@dataclass(frozen=True)
class Matrix:
    """A matrix that lies in the shards of several ranks."""

    rows: int
    columns: int
    pieces: tuple[Piece, ...]

    @property
    def work(self) -> int:
        """Multiplications of an iteration, up to a factor."""
        return self.rows * self.columns * min(self.rows, self.columns)


def consecutive(shapes: Iterable[Any], offsets: Iterable[int], shard: int) -> list[Matrix]:
    """Matrices of ZeRO 1 and 2: one after the other in a flat tensor, which is cut into equal
    shards of ``shard`` elements."""
    found = []
    for (rows, columns), offset in zip(shapes, offsets, strict=True):
        pieces = []
        end = offset + rows * columns
        for rank in range(offset // shard, (end - 1) // shard + 1):
            first, last = max(offset, rank * shard), min(end, (rank + 1) * shard)
            pieces.append(Piece(rank, first - rank * shard, first - offset, last - first))
        found.append(Matrix(rows, columns, tuple(pieces)))
    return found


def interleaved(shapes: Iterable[Any], ranks: int) -> list[Matrix]:
    """Matrices of ZeRO 3: each is cut into equal parts (the last one padded), and a shard is one
    part of each."""
    found, start = [], 0
    for rows, columns in shapes:
        part = -(-rows * columns // ranks)
        pieces = (
            Piece(rank, start, rank * part, min(part, rows * columns - rank * part))
            for rank in range(ranks)
        )
        found.append(Matrix(rows, columns, tuple(p for p in pieces if p.length > 0)))
        start += part
    return found


class Exchange:
    """Brings shards of matrices together on the ranks that orthogonalise them, and back.

    Memory: for the moment of a step twice a rank's shard in fp32.

    Args:
        device: where the work is done; the shard may lie elsewhere (offload).
    """

    def __init__(self, matrices: Sequence[Matrix], rank: int, ranks: int, device: Any) -> None:
        self.device = device
        owned = _divide(matrices, ranks)
        self.matrices = owned[rank]
        self.sent = [
            [piece for matrix in owned[to] for piece in matrix.pieces if piece.rank == rank]
            for to in range(ranks)
        ]
        """To each rank: pieces of this rank's shard."""
        self.received = [
            [(i, p) for i, matrix in enumerate(owned[rank]) for p in matrix.pieces if p.rank == of]
            for of in range(ranks)
        ]
        """From each rank: matrix of this rank, piece."""

    def update(self, shard: torch.Tensor, steps: int) -> torch.Tensor:
        """Muon's update for this rank's ``shard`` of the momentum; every rank calls it."""
        import torch

        home, shard = shard.device, shard.to(self.device)
        mine = [piece for pieces in self.sent for piece in pieces]
        theirs = [pair for pairs in self.received for pair in pairs]
        out = [sum(piece.length for piece in pieces) for pieces in self.sent]
        back = [sum(piece.length for _, piece in pairs) for pairs in self.received]
        parts = self._swap([shard[p.start : p.start + p.length] for p in mine], shard, out, back)
        whole = [shard.new_empty(m.rows * m.columns) for m in self.matrices]
        for (i, piece), part in zip(
            theirs, parts.split([p.length for _, p in theirs]), strict=True
        ):
            whole[i][piece.offset : piece.offset + piece.length] = part
        for i, matrix in enumerate(self.matrices):
            whole[i] = update_of(whole[i].view(matrix.rows, matrix.columns), steps).flatten()
        answer = [whole[i][p.offset : p.offset + p.length] for i, p in theirs]
        parts = self._swap(answer, shard, back, out)
        update = torch.zeros_like(shard)
        for piece, part in zip(mine, parts.split([p.length for p in mine]), strict=True):
            update[piece.start : piece.start + piece.length] = part
        return update.to(home)

    def _swap(
        self, parts: list[torch.Tensor], like: torch.Tensor, out: list[int], back: list[int]
    ) -> torch.Tensor:
        import torch
        import torch.distributed as dist

        received = like.new_empty(sum(back))
        packed = torch.cat(parts) if parts else like.new_empty(0)
        dist.all_to_all_single(received, packed, back, out)
        return received


def _divide(matrices: Sequence[Matrix], ranks: int) -> list[list[Matrix]]:
    """Matrices by rank, so that all have about as much work: the largest first, each to the rank
    that has least."""
    owned: list[list[Matrix]] = [[] for _ in range(ranks)]
    work = [0] * ranks
    for matrix in sorted(matrices, key=lambda m: m.work, reverse=True):
        rank = work.index(min(work))
        owned[rank].append(matrix)
        work[rank] += matrix.work
    return owned
