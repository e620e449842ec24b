from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.pretraining.schedule import learning_rate

PEAK, FLOOR = 0.01, 0.001
BASE = {"warmup_steps": 4, "steps": 12, "learning_rate": PEAK, "min_learning_rate_share": 0.1}
LAST_PARTS: dict[str, Any] = {"decay_steps": 3, "cooldown_steps": 2, "constant_share": 0.5}
SCHEDULES = ["cosine", "cosine_restarts", "linear", "wsd", "infinite", "constant"]


def section(schedule: str, **more: Any) -> Pretrain:
    last = LAST_PARTS if schedule in ("wsd", "infinite") else {}
    return Pretrain.model_validate({**BASE, **last, "schedule": schedule, **more})


def rates(schedule: str, **more: Any) -> list[float]:
    made = section(schedule, **more)
    return [learning_rate(step, made) for step in range(made.steps)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_rises_in_even_steps_to_its_peak(schedule: str) -> None:
    assert rates(schedule)[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_decay_goes_down_all_the_way_and_is_in_the_middle_halfway(schedule: str) -> None:
    found = rates(schedule)
    assert found[3:] == sorted(found[3:], reverse=True)
    assert found[7] == pytest.approx(0.0055)
    assert found[-1] == pytest.approx(FLOOR)


def test_a_constant_rate_stays() -> None:
    assert set(rates("constant")[4:]) == {0.01}


@pytest.mark.parametrize("schedule", ["cosine", "cosine_restarts", "linear"])
def test_a_warm_up_as_long_as_the_run_never_decays(schedule: str) -> None:
    assert rates(schedule, warmup_steps=12)[-1] == pytest.approx(0.01)


@pytest.mark.parametrize(("warmup", "steps"), [(0, 40), (10, 90), (7, 100)])
def test_restarts_have_the_values_of_transformers(warmup: int, steps: int) -> None:
    import torch
    from transformers import get_cosine_with_hard_restarts_schedule_with_warmup as reference

    made = section("cosine_restarts", warmup_steps=warmup, steps=steps, min_learning_rate_share=0.0)
    assert made.restarts == 4, "GlórIA's"
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = reference(optimizer, warmup, steps, num_cycles=4)
    expected = []
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        expected.append(scheduler.get_last_lr()[0])
    found = [learning_rate(step, made) for step in range(steps)]
    assert found == pytest.approx(expected, abs=1e-12)
    jumps = [i for i, (a, b) in enumerate(zip(found, found[1:], strict=False)) if b > a + 1e-3]
    assert [i >= warmup for i in jumps].count(True) == 3, "4 cycles restart 3 times"


def test_a_restart_goes_back_to_the_peak() -> None:
    found = rates("cosine_restarts", warmup_steps=0, steps=8, restarts=2)
    assert found[:4] == pytest.approx([0.0086819805, 0.0055, 0.0023180195, 0.01])
    assert found[4:7] == pytest.approx(found[:3]) and found[7] == pytest.approx(FLOOR)


@pytest.mark.parametrize(
    ("decay", "last"),
    [
        ("linear", [0.007, 0.004, 0.001]),
        ("one_sqrt", [0.001 + 0.009 * (1 - (n / 3) ** 0.5) for n in (1, 2, 3)]),
        ("cosine", [0.00775, 0.00325, 0.001]),
    ],
)
def test_wsd_holds_the_peak_and_decays_at_the_end(decay: str, last: list[float]) -> None:
    assert rates("wsd", decay=decay)[3:] == pytest.approx([PEAK] * 6 + last)


def test_an_infinite_schedule_cools_down_to_a_constant_rate_and_decays_at_the_end() -> None:
    found = rates("infinite")
    assert found[3:] == pytest.approx(
        [0.01, 0.0075, *[0.005] * 4, 0.0011 / 0.3, 0.0007 / 0.3, 1e-3]
    )


def test_an_infinite_schedule_without_an_end_goes_on_at_its_constant_rate() -> None:
    assert rates("infinite", decay_steps=0)[5:] == pytest.approx([0.005] * 7)


def test_another_peak_has_the_same_shape() -> None:
    made = section("wsd")
    for step in range(made.steps):
        assert learning_rate(step, made, 1.0) == pytest.approx(learning_rate(step, made) * 100)


def test_a_step_after_the_last_has_the_last_rate() -> None:
    for schedule in ("cosine", "cosine_restarts", "linear"):
        assert learning_rate(40, section(schedule)) == pytest.approx(FLOOR)


@settings(max_examples=300, deadline=None)
@given(
    schedule=st.sampled_from(SCHEDULES),
    decay=st.sampled_from(["linear", "one_sqrt", "cosine"]),
    parts=st.tuples(*[st.integers(0, 50)] * 3),
    rest=st.integers(1, 100),
    floor=st.floats(0, 0.5),
    restarts=st.integers(1, 6),
)
def test_a_rate_is_never_negative_never_above_the_peak_and_ends_at_the_floor(
    schedule: str, decay: str, parts: tuple[int, int, int], rest: int, floor: float, restarts: int
) -> None:
    warmup, cooldown, last = parts[0], parts[1], parts[2] + 1
    values = {"warmup_steps": warmup, "cooldown_steps": cooldown, "decay_steps": last}
    values |= {"decay": decay, "min_learning_rate_share": floor, "restarts": restarts}
    made = section(schedule, **values, steps=warmup + cooldown + last + rest)
    found = [learning_rate(step, made) for step in range(made.steps)]
    assert min(found) >= 0 and max(found) <= PEAK * (1 + 1e-12)
    assert found[-1] == pytest.approx(PEAK if schedule == "constant" else PEAK * floor, abs=1e-12)
    if schedule != "cosine_restarts":
        after = found[max(0, warmup - 1) :]
        assert all(b <= a * (1 + 1e-12) for a, b in zip(after, after[1:], strict=False))


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd", "infinite"])
def test_a_rate_has_no_jumps(schedule: str) -> None:
    parts = {"warmup_steps": 500, "cooldown_steps": 1000, "decay_steps": 1000}
    found = rates(schedule, steps=5000, **parts)
    # The steepest part is the warm-up.
    assert max(abs(b - a) for a, b in zip(found, found[1:], strict=False)) <= PEAK / 500 + 1e-12


def test_a_wsd_that_never_decays_and_a_last_part_that_would_rise_are_refused() -> None:
    with pytest.raises(ValidationError, match="never decays: give 10 to 20%"):
        section("wsd", decay_steps=0)
    with pytest.raises(ValidationError, match=r"constant_share \(0\.05\) is below"):
        section("infinite", constant_share=0.05)
