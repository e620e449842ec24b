"""Our loop against the Hugging Face Trainer on two ranks, with the same DeepSpeed configuration."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from benchmarks.rows import Row
from benchmarks.training.loop import TINY, TOLERANCE
from benchmarks.training.race import race

PEER = "Trainer"
RANKS, ZERO = 2, 2


def rows(quick: bool) -> Iterator[Row]:
    """Rows of this family."""
    for precision, tolerance in TOLERANCE.items():
        found = race(
            [PEER],
            processes=RANKS,
            model=TINY if quick else None,
            steps=8 if quick else 16,
            micro_batch=4,
            precision=precision,
            zero_stage=ZERO,
        )
        yield Row(
            f"loop, {RANKS} ranks, ZeRO {ZERO}, {precision}",
            1 / found.median("ours"),
            "steps/s",
            f"Trainer of transformers {version('transformers')}",
            1 / found.median(PEER),
            found.ratio(PEER),
            found.agreement(PEER, tolerance),
            target=1,
            note=f"processor time of both ranks, median of {len(found.clock['ours'])} pairs of "
            f"steps; {found.ratio(PEER, 'clock'):.3f} by the clock; losses within {tolerance:g}",
            details={"largest_difference_of_a_loss": found.difference(PEER)},
        )
