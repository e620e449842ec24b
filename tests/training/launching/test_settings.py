from __future__ import annotations

import pytest

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.settings import (
    Local,
    Slurm,
    ranks_per_node,
    trainer_settings,
)


def test_the_environment_says_where_and_this_machine_is_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TAGARELA_TRAINER", raising=False)
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", "processes=8, devices=0+1,device_wait=1.5")
    assert trainer_settings() == Local(processes=8, devices="0+1", device_wait=1.5)
    monkeypatch.setenv("TAGARELA_TRAINER", "slurm")
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", "nodes=2,time=2-00:00:00,gpus_per_node=8")
    assert trainer_settings() == Slurm(nodes=2, time="2-00:00:00", gpus_per_node=8)


@pytest.mark.parametrize(
    ("trainer", "settings", "sentence"),
    [
        ("spark", "", "'spark': give one of local, slurm, kubernetes"),
        ("slurm", "node=2", "'node' is none of processes, nodes, gpus_per_node"),
        ("slurm", "nodes=two", "nodes = 'two' is no number"),
        ("local", "processes=-1", "processes = '-1' is negative"),
    ],
)
def test_what_is_none_is_refused_with_what_there_is(
    trainer: str, settings: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGARELA_TRAINER", trainer)
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", settings)
    with pytest.raises(TrainingError, match=sentence):
        trainer_settings()


def test_ranks_are_divided_evenly_over_nodes_and_have_a_gpu_each() -> None:
    assert ranks_per_node(64, 8, 8) == 8
    with pytest.raises(TrainingError, match="7 ranks cannot be divided over 2 nodes"):
        ranks_per_node(7, 2, 0)
    with pytest.raises(TrainingError, match="4 ranks a node for 2 GPUs"):
        ranks_per_node(8, 2, 2)
