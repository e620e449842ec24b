"""Streams: the order of a unit's documents, epoch by epoch, and the order of units.

The k-th use of a document that an epoch uses r times has the key (k + u) / r, where u in [0, 1) is
drawn for each document and epoch by SplitMix64 (Steele, Lea and Flood, OOPSLA 2014); an epoch is
its uses in the order of their keys. So documents used once are shuffled uniformly, and the copies
of one lie 1/r of the epoch apart. Keys are 64-bit integers, ties go to the lower document.

Sorting goes bucket by bucket over ranges of keys: memory follows ``BUCKET`` and not the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import xxhash
from numpy.typing import NDArray

from tagarela_dagster.provenance.files import atomic_path
from tagarela_dagster.training.mixing.survey import Unit, array_path

BUCKET = 1 << 23
"""Uses that are sorted at once, about: 40 bytes each."""
CHUNK = 1 << 20
"""Documents looked at in one go."""
ORDER_BLOCK = 65_536
"""Every unit has its exact part of this many sequences, so the mix is even all along."""
COUNT_BLOCK = 4_096

_RANGE = 1 << 64


class ArrayFile:
    """Append to a one-dimensional ``.npy`` file whose length is not known before."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self._atomic = atomic_path(path)
        self._file = self._atomic.__enter__().open("w+b")
        self._header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
        self._dtype = dtype
        self.length = 0
        self._write_header()

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._file.seek(0)
            self._write_header()
        self._file.close()
        self._atomic.__exit__(kind, error, trace)

    def write(self, values: NDArray) -> None:
        """Append ``values``."""
        self._file.write(values.astype(self._dtype).tobytes())
        self.length += len(values)

    def _write_header(self) -> None:
        # NumPy leaves room for 21 digits, so that the header can be written over.
        np.lib.format.write_array_header_1_0(self._file, {**self._header, "shape": (self.length,)})


def stream_path(folder: Path, number: int, epoch: int, name: str) -> Path:
    """File of an epoch of unit ``number``: its ``order`` or its ``offsets``."""
    return folder / "units" / f"{number:05d}" / f"epoch-{epoch:04d}.{name}.npy"


def write_stream(
    unit: Unit, number: int, ends: Sequence[int], seed: int, arrays: Path, out: Path
) -> list[int]:
    """Write the epochs of a unit as far as the plan needs them.

    Args:
        ends: rising positions in the stream, in tokens; the last one is where the plan ends.
        arrays: folder of the survey.

    Returns:
        For each of ``ends``, the document uses that begin before it.
    """
    begun = [0] * len(ends)
    for epoch in range(-(-ends[-1] // unit.tokens) if ends[-1] else 0):
        base = epoch * unit.tokens
        left = min(unit.tokens, ends[-1] - base)
        _write_epoch(unit, number, epoch, left, seed, arrays, out)
        offsets = np.load(stream_path(out, number, epoch, "offsets"), mmap_mode="r")
        for place, end in enumerate(ends):
            inside = min(max(end - base, 0), left)
            begun[place] += int(np.searchsorted(offsets[:-1], inside, side="left"))
    return begun


def write_order(phases: Sequence[Sequence[int]], seed: int, out: Path) -> None:
    """Write ``order.npy``, the unit of each sequence, and ``before.npy``.

    Args:
        phases: for each phase the sequences of each unit.
    """
    units = len(phases[0])
    so_far, before = np.zeros(units, np.int64), []
    with ArrayFile(out / "order.npy", np.dtype("<u2")) as file:
        for number, counts in enumerate(phases):
            for block in interleave(counts, seed, number):
                file.write(block)
    order = np.load(out / "order.npy", mmap_mode="r")
    for row in range(0, len(order), COUNT_BLOCK):
        before.append(so_far.copy())
        so_far += np.bincount(order[row : row + COUNT_BLOCK], minlength=units)
    with atomic_path(out / "before.npy") as temporary, temporary.open("wb") as target:
        np.save(target, np.array(before).reshape(-1, units), allow_pickle=False)


def interleave(counts: Sequence[int], seed: int, phase: int = 0) -> Iterator[NDArray[np.uint16]]:
    """Unit numbers of a phase's sequences: exact counts, even in every block of ORDER_BLOCK."""
    left = np.array(counts, dtype=np.int64)
    whole, block = int(left.sum()), 0
    while whole:
        size = min(ORDER_BLOCK, whole)
        given = left * size // whole
        # Largest remainders; a unit with a remainder has at least one sequence left.
        remainders = left * size % whole
        given[np.argsort(-remainders, kind="stable")[: size - int(given.sum())]] += 1
        numbers = np.repeat(np.arange(len(left), dtype=np.uint16), given)
        key = [seed, xxhash.xxh3_64_intdigest("order"), phase, block]
        yield np.random.Generator(np.random.Philox(np.random.SeedSequence(key))).permutation(
            numbers
        )
        left -= given
        whole, block = whole - size, block + 1


def _write_epoch(
    unit: Unit, number: int, epoch: int, left: int, seed: int, arrays: Path, out: Path
) -> None:
    lengths = np.load(array_path(arrays, unit.source, "length"), mmap_mode="r")
    small = np.dtype("<u4") if len(lengths) < 1 << 32 else np.dtype("<u8")
    start = xxhash.xxh3_64_intdigest(f"{seed}:{unit.label}:{epoch}")
    end = 0
    with (
        ArrayFile(stream_path(out, number, epoch, "order"), small) as order,
        ArrayFile(stream_path(out, number, epoch, "offsets"), np.dtype("<i8")) as offsets,
    ):
        offsets.write(np.zeros(1, np.int64))
        buckets = -(-unit.uses // BUCKET)
        for bucket in range(buckets):
            low, high = bucket * _RANGE // buckets, (bucket + 1) * _RANGE // buckets - 1
            documents = _sorted_uses(unit, number, start, low, high, arrays)
            ends = end + np.cumsum(lengths[documents])
            used = min(len(documents), int(np.searchsorted(ends, left, side="left")) + 1)
            order.write(documents[:used])
            offsets.write(ends[:used])
            end = int(ends[-1]) if len(ends) else end
            if end >= left:
                break


def _sorted_uses(
    unit: Unit, number: int, start: int, low: int, high: int, arrays: Path
) -> NDArray[np.int64]:
    """Document numbers of the uses with keys from ``low`` to ``high``, in the order of the keys."""
    members = np.load(array_path(arrays, unit.source, "unit"), mmap_mode="r")
    repeats = np.load(array_path(arrays, unit.source, "repeats"), mmap_mode="r")
    keys, documents = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for first in range(0, len(members), CHUNK):
        mine = first + np.flatnonzero(members[first : first + CHUNK] == number)
        drawn, times = splitmix64(start, mine), repeats[mine].astype(np.uint64)
        for copy in range(int(times.max(initial=0))):
            more = times > copy
            parts = times[more]
            # (copy + drawn / 2^64) / times, as a 64-bit fraction.
            widths = np.uint64(_RANGE - 1) // parts
            key = drawn[more] // parts + np.uint64(copy) * widths
            inside = (key >= low) & (key <= high)
            keys.append(key[inside])
            documents.append(mine[more][inside])
    found = np.concatenate(documents)
    return found[np.lexsort((found, np.concatenate(keys)))]


def splitmix64(start: int, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(numbers,) the outputs of SplitMix64 from state ``start`` at these places."""
    state = np.uint64(start) + (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(
        0x9E3779B97F4A7C15
    )
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
