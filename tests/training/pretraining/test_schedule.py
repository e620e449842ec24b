from __future__ import annotations

import pytest

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.pretraining.schedule import learning_rate


def rates(schedule: str, warmup: int = 4, steps: int = 12) -> list[float]:
    section = Pretrain.model_validate(
        {
            "steps": steps,
            "warmup_steps": warmup,
            "schedule": schedule,
            "learning_rate": 0.01,
            "min_learning_rate_share": 0.1,
        }
    )
    return [learning_rate(step, section) for step in range(steps)]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_rate_rises_in_even_steps_to_its_peak(schedule: str) -> None:
    assert rates(schedule)[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_the_last_step_has_the_lowest_rate(schedule: str) -> None:
    found = rates(schedule)
    assert found[-1] == pytest.approx(0.001)
    assert found[3:] == sorted(found[3:], reverse=True)


def test_halfway_through_the_decay_the_rate_is_in_the_middle() -> None:
    assert rates("cosine")[7] == pytest.approx(0.0055)
    assert rates("linear")[7] == pytest.approx(0.0055)


def test_a_constant_rate_stays() -> None:
    assert set(rates("constant")[4:]) == {0.01}


def test_a_warm_up_as_long_as_the_run_never_decays() -> None:
    assert rates("cosine", warmup=12)[-1] == pytest.approx(0.01)
