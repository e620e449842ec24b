"""Our loop against a bare PyTorch loop on one rank, and what it waits for data."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.rows import Row
from benchmarks.training.race import Race, race

TINY = {"hidden": 32, "layers": 2, "heads": 2, "context": 32}
BARE, CHUNKED = "bare", "bare, chunked loss"
TOLERANCE = {"fp32": 1e-5, "bf16": 1e-3}
"""Relative difference up to which losses agree; bf16 rounds each product to 3 digits."""


def rows(quick: bool) -> Iterator[Row]:
    """Rows of this family."""
    for precision, tolerance in TOLERANCE.items():
        found = race(
            [BARE, CHUNKED],
            processes=1,
            model=TINY if quick else None,
            steps=8 if quick else 24,
            micro_batch=4,
            precision=precision,
            zero_stage=0,
        )
        yield _against(found, CHUNKED, precision, tolerance, target=0.97)
        yield _against(found, BARE, precision, tolerance)
        yield _data(found, precision)


def _against(
    found: Race, peer: str, precision: str, tolerance: float, target: float | None = None
) -> Row:
    own, other = found.median("ours"), found.median(peer)
    loss = "the same chunked loss" if peer == CHUNKED else "all logits at once"
    return Row(
        f"loop, {precision}",
        1 / own,
        "steps/s",
        f"bare PyTorch loop, {loss}",
        1 / other,
        found.ratio(peer),
        found.agreement(peer, tolerance),
        target,
        note=f"processor time, median of {len(found.processor['ours'])} pairs of steps; "
        f"{found.ratio(peer, 'clock'):.3f} by the clock; losses within {tolerance:g}",
        details={
            "largest_difference_of_a_loss": found.difference(peer),
            "seconds_by_the_clock": {name: found.median(name, "clock") for name in found.clock},
        },
    )


def _data(found: Race, precision: str) -> Row:
    shares = [
        row["data_seconds"] / seconds
        for row, seconds in zip(found.rows, found.clock["ours"], strict=True)
    ]
    return Row(
        f"waiting for data, {precision}",
        100 * statistics.median(shares),
        "% of a step",
        target=1,
        judged="value",
        at_least=False,
        note=f"the clock, median of {len(shares)} steps; most {100 * max(shares):.3f}%",
    )
