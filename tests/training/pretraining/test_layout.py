from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.pretraining.layout import Layout, layout


def section(processes: int, micro_batch: int, accumulation: int) -> Pretrain:
    return Pretrain(processes=processes, micro_batch=micro_batch, accumulation=accumulation)


def test_on_the_ranks_that_it_was_written_for_a_recipe_is_laid_out_as_it_says() -> None:
    assert layout(section(2, 4, 3), 2) == Layout(4, 3)


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (1, Layout(4, 6)),
        (2, Layout(4, 3)),
        (3, Layout(4, 2)),
        (4, Layout(3, 2)),
        (24, Layout(1, 1)),
    ],
)
def test_the_micro_batch_is_the_largest_that_divides_a_ranks_share(
    world: int, expected: Layout
) -> None:
    assert layout(section(2, 4, 3), world) == expected


def test_ranks_that_do_not_divide_the_batch_are_refused_with_numbers_that_do() -> None:
    message = r"the 24 sequences .* over 5 ranks: start 4 or 6 ranks"
    with pytest.raises(TrainingError, match=message):
        layout(section(2, 4, 3), 5)
    with pytest.raises(TrainingError, match=r"over 25 ranks: start 24 ranks, or begin"):
        layout(section(2, 4, 3), 25)


@given(*[st.integers(1, 12)] * 4)
def test_ranks_do_the_whole_batch_between_them(
    processes: int, micro_batch: int, accumulation: int, world: int
) -> None:
    given = section(processes, micro_batch, accumulation)
    if given.step_sequences % world:
        return
    found = layout(given, world)
    assert world * found.micro_batch * found.accumulation == given.step_sequences
    assert found.micro_batch <= micro_batch
