"""Layout: how the sequences of a step are divided over the ranks that there are.

The batch belongs to the recipe and the world size to the machine: a step has the same sequences
and the same loss on any number of ranks, so a run goes on elsewhere as the same run.
"""

from __future__ import annotations

from dataclasses import dataclass

from tagarela_dagster.recipe.stage import Distributed
from tagarela_dagster.training.launching.failure import TrainingError


@dataclass(frozen=True)
class Layout:
    """What one rank does in a whole step.

    Attributes:
        micro_batch: sequences of a forward pass.
        accumulation: micro-batches.
    """

    micro_batch: int
    accumulation: int


def layout(section: Distributed, world: int) -> Layout:
    """The largest micro-batch up to the recipe's that divides a rank's share of the step.

    Raises:
        TrainingError: the step's sequences cannot be shared out evenly to ``world`` ranks.
    """
    whole = section.step_sequences
    if whole % world:
        possible = [n for n in range(1, whole + 1) if whole % n == 0]
        below = max(n for n in possible if n < world)
        above = [n for n in possible if n > world]
        raise TrainingError(
            f"the {whole} sequences of a step ({section.processes} processes x micro_batch "
            f"{section.micro_batch} x accumulation {section.accumulation}) cannot be divided over "
            f"{world} ranks: start {below}{f' or {min(above)}' if above else ''} ranks, or begin "
            "a run with another batch"
        )
    share = whole // world
    micro = max(n for n in range(1, min(section.micro_batch, share) + 1) if share % n == 0)
    return Layout(micro, share // micro)
