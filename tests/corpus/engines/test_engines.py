from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from datatrove.pipeline.base import PipelineStep

from tagarela_dagster.corpus.engines import run as engines
from tagarela_dagster.corpus.engines.settings import EngineError, Slurm, engine_name, slurm_settings
from tagarela_dagster.corpus.filtering.measure import measure_partition
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.corpus import Corpus
from tests import slurm_cluster
from tests.corpus.rows import TEXTS, write_shard

ARGUMENTS = {"code_version": "c", "section": {}, "inputs": {}}


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ShardInput]:
    """Four shards, so little text that only the test's word makes them a job for workers."""
    monkeypatch.setattr(engines, "PARALLEL_BYTES", 0)
    paths = [write_shard(tmp_path / f"{i:05d}.parquet", TEXTS[i:] + TEXTS) for i in range(4)]
    return [ShardInput(path.stem, (path,), (hash_file(path),)) for path in paths]


def measure(lake: Path, shards: list[ShardInput]) -> Manifest:
    with Lake(lake).write("measured", "livros@2026", **ARGUMENTS) as writer:
        return measure_partition(writer, shards, Corpus(), workers=2)


def test_ray_with_two_workers_gives_the_bytes_of_one_machine(
    tmp_path: Path, shards: list[ShardInput], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'tagarela[ray]'")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    local = measure(tmp_path / "local", shards)
    monkeypatch.setenv("TAGARELA_ENGINE", "ray")
    assert measure(tmp_path / "ray", shards) == local


@pytest.mark.skipif(bool(slurm_cluster.missing()), reason=str(slurm_cluster.missing()))
def test_slurm_on_two_nodes_gives_the_bytes_of_one_machine(
    tmp_path: Path, shards: list[ShardInput], monkeypatch: pytest.MonkeyPatch
) -> None:
    local = measure(tmp_path / "local", shards)
    with slurm_cluster.two_nodes(tmp_path / "slurm") as environment:
        for name in ("SLURM_CONF", "PATH"):
            monkeypatch.setenv(name, environment[name])
        monkeypatch.setenv("TAGARELA_ENGINE", "slurm")
        monkeypatch.setenv("TAGARELA_SLURM", "time=00:10:00,mem_per_cpu_gb=1")
        assert measure(tmp_path / "lake", shards) == local

        shards[1].paths[0].write_bytes(b"no Parquet")
        with pytest.raises(EngineError, match=r"slurm ended with 1 of 4 ranks not done; rank 1"):
            measure(tmp_path / "damaged", shards)


class Mark(PipelineStep):
    """Leave a file for each rank; where there is none yet, rank 1 kills its worker process."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        if rank == 1 and not (self.folder / "killed").exists():
            (self.folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        (self.folder / f"rank-{rank}").touch()
        return data


def test_a_worker_that_is_killed_is_an_error_and_what_is_missing_is_done_by_the_next_run(
    tmp_path: Path,
) -> None:
    step, logs = Mark(tmp_path), tmp_path / "logs"
    with pytest.raises(EngineError, match="a worker process was killed"):
        engines.run_ranks(step, 4, 2, logs, 1 << 40)
    assert not (tmp_path / "rank-1").exists()
    engines.run_ranks(step, 4, 2, logs, 1 << 40)
    assert sorted(path.name for path in tmp_path.glob("rank-*")) == [f"rank-{i}" for i in range(4)]


def test_an_engine_or_setting_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_name() == "local"
    monkeypatch.setenv("TAGARELA_ENGINE", "spark")
    with pytest.raises(EngineError, match="'spark': give one of local, ray, slurm"):
        engine_name()
    monkeypatch.setenv("TAGARELA_SLURM", "partition=cpu, mem_per_cpu_gb=8")
    assert slurm_settings() == Slurm(partition="cpu", mem_per_cpu_gb=8)
    monkeypatch.setenv("TAGARELA_SLURM", "partitions=cpu")
    with pytest.raises(EngineError, match="'partitions' is none of partition, time"):
        slurm_settings()
