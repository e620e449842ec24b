from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.pruning.loading import (
    DynamicBatches,
    Window,
    pick,
    reweighted,
)
from tests.training.pruning.tiny_prune import PRUNE, tiny_stage, with_stage

NONE = {"mar": 0, "rio": 0, "serra": 0}
WINDOW = Window({"mar": 0.5, "rio": 0.3, "serra": 0.2}, NONE, NONE, {})


def test_a_source_that_lost_more_grows_by_the_exponential_of_what_it_lost() -> None:
    reference = {"mar": 2.0, "rio": 3.0}
    shares = reweighted({"mar": 0.5, "rio": 0.5}, {"mar": 2.4, "rio": 2.9}, reference)
    wanted = math.exp(0.4) / (math.exp(0.4) + 1)
    assert shares["mar"] == pytest.approx((1 - 1e-4) * wanted + 0.5e-4, abs=1e-6)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)


def test_sequences_follow_the_shares_from_the_first_one_on() -> None:
    picked, after = pick(WINDOW, {"mar": 99, "rio": 99, "serra": 99}, 20)
    assert after.taken == {"mar": 10, "rio": 6, "serra": 4}
    assert [source for source, _ in picked[:5]] == ["mar", "rio", "serra", "mar", "mar"]
    assert [number for source, number in picked if source == "rio"] == list(range(6))
    for count in range(1, 20):
        taken = pick(WINDOW, {"mar": 99, "rio": 99, "serra": 99}, count)[1].taken
        assert all(abs(taken[s] - WINDOW.shares[s] * count) < 1 for s in taken)


def test_a_source_that_has_run_out_gives_its_part_to_others_and_is_counted() -> None:
    picked, after = pick(WINDOW, {"mar": 4, "rio": 99, "serra": 99}, 20)
    assert after.taken["mar"] == 4
    assert sum(after.taken.values()) == len(picked) == 20
    assert after.given == {"mar": 6, "rio": 0, "serra": 0}


def test_a_window_is_the_same_whoever_opens_it_and_ranks_share_its_steps(tmp_path: Path) -> None:
    from tagarela_dagster.training.mixing.sampler import open_sampler

    run = with_stage(tiny_stage(tmp_path), "small", PRUNE)
    sampler = open_sampler(run.inputs["mixture"], run.inputs["lake"])
    first, count = run.recipe.training.slices["small"]
    assert (first, count) == (4, 64)
    ranks = [DynamicBatches(sampler, run.section, r, 2, first, count) for r in (0, 1)]
    window = ranks[0].start({"mar": 5.0, "rio": 5.0})
    for batches in ranks:
        batches.open(0, window)
        batches.change(3, {"mar": 5.0, "rio": 5.5})
    assert ranks[0].told == ranks[1].told
    alone = DynamicBatches(sampler, run.section, 0, 1, first, count)
    alone.open(3, Window(**ranks[0].told))
    assert list(alone.sequences(4)) == list(ranks[0].sequences(4))
    seen = [k for step in (3, 4, 5) for k in alone.sequences(step)]
    assert len(set(seen)) == 12 and all(first <= k < first + count for k in seen)
    kept = {int(k) for numbers in alone.probes.values() for k in numbers}
    assert not kept & set(seen)
    assert {s: len(numbers) for s, numbers in alone.probes.items()} == {"mar": 4, "rio": 4}
    assert sum(alone.due().values()) == 24 * sampler.context
    tokens = {int(row[0]) for batches in ranks for b in batches.step(4) for row in b.tokens}
    assert tokens == {int(sampler.sequence(k).tokens[0]) for k in alone.sequences(4)}
    alone.change(6, {"mar": 5.0, "rio": 5.0})
    whole = alone.due()
    alone.reopen(8, Window(**alone.told))
    assert alone.due() == whole, "a run whose steps are all done opens its last window again"
    assert sum(whole.values()) == 32 * sampler.context
    alone.stop()
    assert alone.step(2), "who waits for a window that never opens is let go"


def test_a_reserve_that_is_too_small_is_told_with_the_arithmetic(tmp_path: Path) -> None:
    from tagarela_dagster.training.mixing.sampler import open_sampler

    run = with_stage(tiny_stage(tmp_path), "small", {**PRUNE, "reserve": 1.1})
    sampler = open_sampler(run.inputs["mixture"], run.inputs["lake"])
    first, count = run.recipe.training.slices["small"]
    with pytest.raises(TrainingError, match=r"36 sequences less .* are 28, 8 steps take 32"):
        DynamicBatches(sampler, run.section, 0, 1, first, count)


def test_a_source_with_too_few_sequences_is_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tagarela_dagster.training.mixing.sampler import open_sampler

    run = with_stage(tiny_stage(tmp_path), "small", {**PRUNE, "steps": 1, "warmup_steps": 0})
    sampler = open_sampler(run.inputs["mixture"], run.inputs["lake"])
    count = next(n for n in range(8, 64) if min(np.bincount(sampler.units_of(0, n))) == 3)
    rarer = sampler.units[int(np.argmin(np.bincount(sampler.units_of(0, count))))]["source"]
    batches = DynamicBatches(sampler, run.section, 0, 1, 0, count)
    assert batches.sources.keys() == batches.probes.keys() == {"mar", "rio"} - {rarer}
    assert [m.split(" in ")[0] for m in caplog.messages] == [f"{rarer} has 3 sequences"]
