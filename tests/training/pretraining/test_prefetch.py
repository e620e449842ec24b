from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.mixing.sampler import Sampler, SamplerError, open_sampler
from tagarela_dagster.training.pretraining.data import Batch, Batches
from tagarela_dagster.training.pretraining.prefetch import AHEAD, Prefetch
from tests.training.tiny_run import tiny_run


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> Sampler:
    folder: Path = tmp_path_factory.mktemp("prefetch")
    run = tiny_run(folder)
    return open_sampler(run.inputs["mixture"], run.inputs["lake"])


def batches(sampler: Sampler) -> Batches:
    return Batches(sampler, Pretrain(steps=6, processes=1, micro_batch=2, accumulation=2), 0, 1)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "prefetch"]


def test_steps_come_in_order_from_any_first_step(sampler: Sampler) -> None:
    made = batches(sampler)
    with Prefetch(made, first=2) as prefetch:
        for step in range(2, 6):
            found, waited = prefetch.take()
            wanted = made.step(step)
            assert waited >= 0
            for one, other in zip(found, wanted, strict=True):
                assert torch.equal(one.tokens, other.tokens) and one.cells == other.cells
    assert threads() == []


def test_no_more_steps_are_prepared_than_are_wanted_soon(sampler: Sampler) -> None:
    made = batches(sampler)
    asked: list[int] = []
    ready = threading.Event()
    original = made.step

    def step(number: int) -> list[Batch]:
        asked.append(number)
        if len(asked) == AHEAD:
            ready.set()
        return original(number)

    made.step = step  # type: ignore[method-assign]
    with Prefetch(made, first=0) as prefetch:
        assert ready.wait(10)
        prefetch._thread.join(0.2)
        assert asked == list(range(AHEAD))
    assert threads() == []


def test_what_reading_raises_is_raised_where_the_step_is_taken(sampler: Sampler) -> None:
    made = batches(sampler)
    original: Any = made.step

    def step(number: int) -> list[Batch]:
        if number == 1:
            raise SamplerError("a shard is gone")
        return original(number)

    made.step = step  # type: ignore[method-assign]
    with Prefetch(made, first=0) as prefetch:
        assert len(prefetch.take()[0]) == 2
        with pytest.raises(SamplerError, match="a shard is gone"):
            prefetch.take()
    assert threads() == []
