"""Batches: which sequences each rank trains on at each step.

Step s takes sequences s x B to (s + 1) x B - 1 of the mixture, B being the sequences of a step
over all ranks and micro-batches. So a resumed run repeats and skips nothing, and the sequences of
a step don't depend on how they are divided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.mixing.sampler import Sampler

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
        cells: cell of the mixture's plan that each sequence belongs to.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    cells: list[str]

    @property
    def predicted(self) -> int:
        """Tokens that a loss is taken on."""
        return int((self.targets != IGNORED).sum())


class Batches:
    """The micro-batches of one rank."""

    def __init__(
        self, sampler: Sampler, section: Pretrain, rank: int, world: int, first: int = 0
    ) -> None:
        self.sampler = sampler
        self.micro_batch = section.micro_batch
        self.accumulation = section.accumulation
        self.rank = rank
        self.world = world
        self.first = first
        needed = first + section.steps * self.sequences_per_step
        if sampler.sequences < needed:
            raise TrainingError(
                f"the mixture has {sampler.sequences} sequences, {section.steps} steps need "
                f"{needed}: materialize mixture again with this recipe"
            )

    @property
    def sequences_per_step(self) -> int:
        """Sequences of a step over all ranks."""
        return self.world * self.micro_batch * self.accumulation

    def step(self, step: int) -> list[Batch]:
        """Micro-batches of this rank for step ``step`` (from 0), in order."""
        first = self.first + step * self.sequences_per_step
        starts = (
            first + (micro * self.world + self.rank) * self.micro_batch
            for micro in range(self.accumulation)
        )
        return [self._batch(range(start, start + self.micro_batch)) for start in starts]

    def _batch(self, numbers: range) -> Batch:
        import torch

        rows = [self.sampler.sequence(k) for k in numbers]
        tokens = np.stack([row.tokens for row in rows])
        positions = np.stack([row.positions for row in rows])
        return Batch(
            torch.from_numpy(tokens),
            torch.from_numpy(positions),
            torch.from_numpy(next_tokens(tokens, positions, self.sampler.eos)),
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
