from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.recipe.training import Pretrain


def pretrain(**values: Any) -> Pretrain:
    return Pretrain.model_validate({"warmup_steps": 0, **values})


@settings(max_examples=200, deadline=None)
@given(
    steps=st.integers(1, 300),
    processes=st.integers(1, 8),
    micro_batch=st.integers(1, 8),
    accumulation=st.integers(1, 8),
    ramp=st.none() | st.tuples(st.floats(0.01, 0.99), st.integers(1, 400)),
)
def test_a_run_takes_the_sequences_of_its_steps_and_the_batch_never_shrinks(
    steps: int, processes: int, micro_batch: int, accumulation: int, ramp: Any
) -> None:
    layout = {"processes": processes, "micro_batch": micro_batch, "accumulation": accumulation}
    ramped = {"ramp": {"start": ramp[0], "steps": ramp[1]}} if ramp else {}
    section = pretrain(steps=steps, **layout, **ramped)
    batches = [section.batch(step) for step in range(steps)]
    assert section.sequences == sum(batches)
    assert batches == sorted(batches)
    assert batches[0] >= 1 and batches[-1] <= section.step_sequences
    full = ramp[1] if ramp else 0
    assert set(batches[full:]) <= {section.step_sequences}


def test_a_ramp_grows_evenly_from_its_share_of_the_batch() -> None:
    section = pretrain(
        steps=6, processes=2, micro_batch=4, accumulation=2, ramp={"start": 0.25, "steps": 4}
    )
    assert [section.batch(step) for step in range(6)] == [4, 7, 10, 13, 16, 16]
    assert section.sequences == 66


def test_a_ramp_decides_the_result_and_the_dial_of_the_ladder_does_not() -> None:
    plain = pretrain().as_json()
    assert pretrain(ramp={"steps": 5}).as_json() != plain
    assert pretrain(tokens_per_parameter=20).as_json() == plain
