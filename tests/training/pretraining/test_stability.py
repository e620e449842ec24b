from __future__ import annotations

import json
import random
import statistics
from typing import Any

import pytest

from tagarela_dagster.recipe.pretraining import Stability
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.pretraining.stability import SKIPPED, Guard

SKIP = Stability(skip_spikes=True)
CALM = [(3.0 + 0.01 * (i % 5), 0.5 + 0.02 * (i % 3)) for i in range(200)]


def run(
    section: Stability, values: list[tuple[float, float]], rows: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Lines of metrics of a run that goes on after ``rows``."""
    rows = list(rows or [])
    guard = Guard(section, rows)
    for loss, norm in values[len(rows) :]:
        reason = guard.judge(len(rows) + 1, loss, norm)
        row = {"step": len(rows) + 1, "loss": loss, "gradient_norm": norm}
        rows.append({**row, SKIPPED: reason} if reason and section.skip_spikes else row)
    return rows


def skipped(rows: list[dict[str, Any]]) -> dict[int, str]:
    return {row["step"]: row[SKIPPED] for row in rows if SKIPPED in row}


def test_a_calm_run_has_no_spikes() -> None:
    assert skipped(run(SKIP, CALM)) == {}


def test_a_loss_far_above_the_window_is_a_spike_and_the_reason_has_the_numbers() -> None:
    window = [loss for loss, _ in CALM[22:150]]
    mean, deviation = statistics.fmean(window), statistics.stdev(window)
    limit = mean + 6 * deviation
    below, above = list(CALM), list(CALM)
    below[150], above[150] = (limit - 1e-9, 0.5), (limit + 1e-9, 0.5)
    assert skipped(run(SKIP, below)) == {}
    assert skipped(run(SKIP, above)) == {
        151: f"loss {limit:.4g} is 6.0 standard deviations ({deviation:.3g}) above the mean "
        f"({mean:.4g}) of 128 steps"
    }


def test_a_gradient_norm_is_judged_as_the_loss_is() -> None:
    values = list(CALM)
    values[100] = (3.0, 5.0)
    assert skipped(run(SKIP, values))[101].startswith("gradient norm 5 is ")


def test_a_sudden_fall_is_no_spike() -> None:
    values = list(CALM)
    values[100] = (0.1, 0.01)
    assert skipped(run(SKIP, values)) == {}


def test_nothing_is_judged_before_half_a_window_is_there() -> None:
    early, late = list(CALM), list(CALM)
    early[62], late[63] = (30.0, 0.5), (30.0, 0.5)
    assert skipped(run(SKIP, early)) == {}
    # The 64th step, which has 63 before it: OLMo-core counts the step itself.
    assert list(skipped(run(SKIP, late))) == [64]
    assert [Guard(Stability(window=n)).needed for n in (2, 10, 24, 128, 400)] == [
        2,
        10,
        19,
        63,
        199,
    ]


def test_a_step_that_was_left_out_does_not_become_the_measure() -> None:
    values = list(CALM)
    values[100:110] = [(30.0, 0.5)] * 10
    assert list(skipped(run(SKIP, values))) == list(range(101, 111))
    # Where spikes are only watched they are trained on, and the second is compared with the first.
    guard = Guard(Stability())
    found = [guard.judge(step, *value) for step, value in enumerate(values, start=1)]
    assert [step for step, reason in enumerate(found, start=1) if reason][0] == 101
    assert len([reason for reason in found if reason]) < 5


def test_a_run_that_stays_at_another_level_is_stopped_and_says_why() -> None:
    values = CALM[:100] + [(4.0, 0.5)] * 50
    with pytest.raises(TrainingError, match=r"20 steps before step 121 .*loss 4 is .*raise stab"):
        run(SKIP, values)
    assert len(skipped(run(SKIP, values[:120]))) == 20


def test_a_resumed_run_judges_as_the_undisturbed_one() -> None:
    draw = random.Random(5)
    values = [
        (draw.gauss(3, 0.1) + 9 * (draw.random() < 0.05 and i > 70), draw.gauss(1, 0.1))
        for i in range(400)
    ]
    whole = run(SKIP, values)
    assert len(skipped(whole)) > 10
    for stop in (0, 1, 50, 63, 64, 130, 399):
        read_back = [json.loads(json.dumps(row)) for row in whole[:stop]]
        assert run(SKIP, values, read_back) == whole


def test_values_that_never_change_have_no_spikes() -> None:
    assert skipped(run(SKIP, [(3.0, 0.0)] * 100 + [(3.1, 0.0)])) == {}
