"""Batches: which sequences each rank trains on at each step.

A step takes the next ``section.batch(step)`` sequences of the mixture, over all ranks and
micro-batches. So a resumed run repeats and skips nothing, and the sequences of a step don't depend
on how they are divided.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from tagarela_dagster.recipe.pretraining import Pretrain
from tagarela_dagster.recipe.stage import Distributed
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.mixing.sampler import Sampler
from tagarela_dagster.training.pretraining.layout import layout

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""Label of a token that no loss is taken on (torch.nn.functional.cross_entropy)."""


@dataclass(frozen=True)
class Batch:
    """A micro-batch of one rank.

    Attributes:
        tokens, positions: int64 (sequences, context).
        targets: int64 (sequences, context - 1): what positions 0 to context - 2 predict.
        cells: cell of the mixture's plan that each sequence belongs to; a padded micro-batch has
            fewer cells than rows.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    cells: list[str]

    @property
    def predicted(self) -> int:
        """Tokens that a loss is taken on."""
        return int((self.targets != IGNORED).sum())

    def to(self, device: torch.device) -> Batch:
        """The same on a device; from pinned memory the copy goes on while the host works."""
        return replace(
            self,
            tokens=self.tokens.to(device, non_blocking=True),
            positions=self.positions.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
        )

    def pinned(self) -> Batch:
        """The same in memory that a GPU copies from by itself."""
        return replace(
            self,
            tokens=self.tokens.pin_memory(),
            positions=self.positions.pin_memory(),
            targets=self.targets.pin_memory(),
        )


class Batches:
    """The micro-batches of one rank.

    Args:
        section: a stage with ``steps``; with ``batch(step)`` too, the batch follows it.
        first: first sequence of the stage's slice of the mixture (``Training.slices``).
    """

    def __init__(
        self, sampler: Sampler, section: Distributed, rank: int, world: int, first: int = 0
    ) -> None:
        self.sampler = sampler
        self.layout = layout(section, world)
        self.rank = rank
        self.world = world
        self.first = first
        self.steps: int = section.steps  # type: ignore[attr-defined]
        self._full = section.step_sequences
        ramped: list[int] = []
        if isinstance(section, Pretrain) and section.ramp:
            ramped = [section.batch(step) for step in range(section.ramp.steps)]
        self._starts = list(accumulate(ramped, initial=0))
        """First sequence of each step of the ramp, and of the step after it."""
        needed = self.sequences(self.steps - 1).stop
        if sampler.sequences < needed:
            raise TrainingError(
                f"the mixture has {sampler.sequences} sequences, {self.steps} steps need "
                f"{needed}: materialize mixture again with this recipe"
            )

    def sequences(self, step: int) -> range:
        """Sequences of the mixture that all ranks take in step ``step`` (from 0)."""
        ramp = len(self._starts) - 1
        if step < ramp:
            start, stop = self._starts[step], self._starts[step + 1]
        else:
            start = self._starts[ramp] + (step - ramp) * self._full
            stop = start + self._full
        return range(self.first + start, self.first + stop)

    def step(self, step: int) -> list[Batch]:
        """Micro-batches of this rank for step ``step`` (from 0), in order.

        Every rank has the same number. Where the step's sequences don't fill them, which is so
        on a ramp, rows are added that have no targets.
        """
        numbers = self.sequences(step)
        size = self.layout.micro_batch
        count = -(-len(numbers) // (self.world * size))
        starts = ((micro * self.world + self.rank) * size for micro in range(count))
        return [self._batch(numbers[start : start + size]) for start in starts]

    def _batch(self, numbers: range) -> Batch:
        import torch

        rows = [self.sampler.sequence(k) for k in numbers]
        shape = (self.layout.micro_batch, self.sampler.context)
        tokens = np.full(shape, self.sampler.eos, dtype=np.int64)
        positions = np.tile(np.arange(shape[1]), (shape[0], 1))
        targets = np.full((shape[0], shape[1] - 1), IGNORED, dtype=np.int64)
        if rows:
            tokens[: len(rows)] = [row.tokens for row in rows]
            positions[: len(rows)] = [row.positions for row in rows]
            real = tokens[: len(rows)], positions[: len(rows)]
            targets[: len(rows)] = next_tokens(*real, self.sampler.eos)
        return Batch(
            torch.from_numpy(tokens),
            torch.from_numpy(positions),
            torch.from_numpy(targets),
            [row.cell for row in rows],
        )


def next_tokens(tokens: np.ndarray, positions: np.ndarray, eos: int) -> np.ndarray:
    """Targets of next-token prediction, (sequences, context - 1), within documents only.

    The end token opens a document (sampler.py) and is the target of the previous document's last
    word. A document that opens with anything else has a first word that nothing before it can
    tell: that target is IGNORED.
    """
    targets = tokens[:, 1:].copy()
    targets[(positions[:, 1:] == 0) & (targets != eos)] = IGNORED
    return targets
