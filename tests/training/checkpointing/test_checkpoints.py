from __future__ import annotations

import json
from pathlib import Path

import pytest

from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.training.checkpointing.checkpoints import (
    _prune,
    newest,
    published,
    remove_incomplete,
)
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.run_folder import RunLock, claim_run
from tagarela_dagster.training.tracking.metrics import Metrics, read_metrics, rewind_metrics


def write_checkpoint(run: Path, step: int, world: int = 2, complete: bool = True) -> Path:
    folder = run / "checkpoints" / f"step-{step:06d}"
    files = []
    for name in ("model/model.safetensors", "state/rank_0.pt"):
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(f"{name} of step {step}")
        files.append({"path": name, "bytes": path.stat().st_size, "sha256": hash_file(path)})
    if complete:
        record = {"step": step, "world_size": world, "files": files}
        (folder / "manifest.json").write_text(json.dumps(record))
    return folder


def test_a_checkpoint_without_a_manifest_does_not_exist_and_is_removed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 50)
    half = write_checkpoint(tmp_path, 100, complete=False)
    partial = tmp_path / "checkpoints" / ".partial-step-000150"
    partial.mkdir()
    assert [c.step for c in published(tmp_path)] == [50]
    found = newest(tmp_path, world=2)
    assert found is not None and found.step == 50
    assert remove_incomplete(tmp_path) == [partial.name, half.name]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-000050"]


def test_checkpoints_are_ordered_by_step_also_past_a_million(tmp_path: Path) -> None:
    for step in (1_000_000, 999_999):
        write_checkpoint(tmp_path, step)
    assert [c.step for c in published(tmp_path)] == [999_999, 1_000_000]


def test_old_checkpoints_lose_their_state_and_keep_their_model(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        write_checkpoint(tmp_path, step)
    _prune(tmp_path, keep=2)
    assert [(c.step, c.resumable) for c in published(tmp_path)] == [
        (1, False),
        (2, False),
        (3, True),
        (4, True),
    ]
    for checkpoint in published(tmp_path):
        checkpoint.verify("model")


def test_a_state_whose_removal_was_cut_short_is_not_resumed_from(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, 1)
    (folder / "state").rename(folder / ".partial-state")
    assert newest(tmp_path, world=2) is None
    remove_incomplete(tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "model"]


def test_another_number_of_ranks_is_refused_with_the_way_out(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 1, world=2)
    with pytest.raises(TrainingError, match="written by 2 ranks and cannot be resumed on 4"):
        newest(tmp_path, world=4)


def test_a_damaged_state_is_never_loaded(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, 1)
    (folder / "state" / "rank_0.pt").write_text("another pickle")
    found = newest(tmp_path, world=2)
    assert found is not None
    found.verify("model")
    with pytest.raises(TrainingError, match=r"rank_0\.pt is missing or damaged: remove"):
        found.verify("state")


def test_metrics_are_taken_back_to_a_checkpoint(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for step in range(1, 6):
        metrics.write({"step": step, "loss": 1 / step})
    metrics.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3, 4, 5]
    assert rewind_metrics(tmp_path, 3) == {"step": 3, "loss": 1 / 3}
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3]
    assert rewind_metrics(tmp_path, 0) is None
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_a_run_folder_belongs_to_one_configuration(tmp_path: Path) -> None:
    config = {"model": {"hidden": 32}, "seed": 1}
    assert claim_run(tmp_path, config) == claim_run(tmp_path, dict(reversed(config.items())))
    with pytest.raises(TrainingError, match=r"other settings \(seed differ\): choose another"):
        claim_run(tmp_path, config | {"seed": 2})


def test_a_run_folder_has_one_owner_until_all_of_its_ranks_are_gone(tmp_path: Path) -> None:
    first, second, other = RunLock(tmp_path), RunLock(tmp_path), RunLock(tmp_path)
    first.take()
    with pytest.raises(TrainingError, match="in use by another training"):
        other.take(wait_seconds=0)
    first.share()
    second.share()
    first.release()
    with pytest.raises(TrainingError, match="in use by another training"):
        other.take(wait_seconds=0)
    second.release()
    other.take(wait_seconds=0)
    other.release()
