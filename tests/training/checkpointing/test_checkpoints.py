from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.checkpointing.checkpoints import (
    damaged,
    newest,
    publish_model,
    published,
    remove_incomplete,
    set_aside,
)
from tagarela_dagster.training.checkpointing.retention import kept, prune
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.run_folder import RunLock, claim_run
from tagarela_dagster.training.tracking.metrics import Metrics, read_metrics, rewind_metrics


def publish(run: Path, step: int, **record: Any) -> Path:
    def write(model: Path) -> None:
        for name in ("model/model.safetensors", "state/rank-00000.safetensors"):
            path = model.parent / name
            path.parent.mkdir()
            path.write_text(f"{name} of step {step}")

    return publish_model(run, f"step-{step:06d}", write, {"step": step, **record}).folder


def steps(run: Path) -> list[tuple[int, bool]]:
    return [(c.step, c.resumable) for c in published(run)]


def test_a_checkpoint_without_a_manifest_does_not_exist_and_is_removed(tmp_path: Path) -> None:
    publish(tmp_path, 50)
    half = publish(tmp_path, 100)
    (half / "manifest.json").unlink()
    partial = tmp_path / "checkpoints" / ".partial-step-000150"
    partial.mkdir()
    (partial / "manifest.json").touch()
    assert steps(tmp_path) == [(50, True)]
    found = newest(tmp_path)
    assert found is not None and found.step == 50
    assert remove_incomplete(tmp_path) == [partial.name, half.name]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-000050"]


def test_checkpoints_are_ordered_by_step_also_past_a_million(tmp_path: Path) -> None:
    for step in (1_000_000, 999_999):
        publish(tmp_path, step)
    assert [c.step for c in published(tmp_path)] == [999_999, 1_000_000]


def test_the_last_the_best_and_those_at_token_marks_keep_their_state(tmp_path: Path) -> None:
    losses = [3.0, 1.5, 2.0, 1.6, 1.9, 1.8]
    for step, loss in enumerate(losses, start=1):
        publish(tmp_path, step, loss=loss, tokens=step * 100)
    section = Pretrain(keep_checkpoints=1, keep_best=2, keep_every_tokens=250)
    # Best: 2 and 4. Marks at 250 and 500 tokens: 3 and 5. Last: 6.
    assert kept(published(tmp_path), section) == {2, 3, 4, 5, 6}
    assert prune(tmp_path, section) == [1]
    assert prune(tmp_path, Pretrain(keep_checkpoints=2)) == [2, 3, 4]
    assert [step for step, resumable in steps(tmp_path) if resumable] == [5, 6]
    for checkpoint in published(tmp_path):
        checkpoint.verify("model")


def test_a_state_whose_removal_was_cut_short_is_not_resumed_from(tmp_path: Path) -> None:
    folder = publish(tmp_path, 1)
    (folder / "state").rename(folder / ".partial-state")
    assert newest(tmp_path) is None
    remove_incomplete(tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "model"]


@pytest.mark.parametrize("part", ["model", "state"])
def test_one_flipped_bit_and_a_missing_file_are_found_and_named(part: str, tmp_path: Path) -> None:
    folder = publish(tmp_path, 1)
    (checkpoint,) = published(tmp_path)
    (path,) = (folder / part).iterdir()
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    other = {"model": "state", "state": "model"}[part]
    checkpoint.verify(other)
    with pytest.raises(TrainingError, match=rf"{path.name} is damaged .*: remove .*step-000001"):
        checkpoint.verify(part)
    path.unlink()
    with pytest.raises(TrainingError, match=rf"{path.name} is missing: remove"):
        checkpoint.verify(part)


def test_a_changed_manifest_is_refused(tmp_path: Path) -> None:
    manifest = publish(tmp_path, 41) / "manifest.json"
    manifest.write_text(manifest.read_text().replace("41", "40", 1))
    with pytest.raises(TrainingError, match=r"manifest\.json is damaged .*: remove"):
        published(tmp_path)
    manifest.write_text(manifest.read_text()[:-20])
    with pytest.raises(TrainingError, match=r"manifest\.json is damaged .*: remove"):
        published(tmp_path)


def test_the_model_of_an_older_format_is_read_and_its_state_refused_with_the_way_out(
    tmp_path: Path,
) -> None:
    manifest = publish(tmp_path, 7) / "manifest.json"
    record = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**record, "format_version": 1, "fingerprint": None}))
    (old,) = published(tmp_path)
    old.verify("model")
    with pytest.raises(TrainingError, match=r"earlier release.*cannot be resumed.* base \(.*model"):
        newest(tmp_path)
    publish(tmp_path, 8)
    found = newest(tmp_path)
    assert found is not None and found.step == 8
    manifest.write_text(json.dumps({**record, "format_version": 3}))
    with pytest.raises(TrainingError, match="has format 3, this release reads 1 and 2"):
        published(tmp_path)


def test_what_is_set_aside_is_kept_and_counted_and_not_used(tmp_path: Path) -> None:
    publish(tmp_path, 1)
    publish(tmp_path, 2)
    set_aside(published(tmp_path)[-1])
    assert steps(tmp_path) == [(1, True)]
    assert damaged(tmp_path) == ["step-000002"]
    assert remove_incomplete(tmp_path) == []
    kept_for_later = tmp_path / "checkpoints" / ".damaged-step-000002"
    assert (kept_for_later / "state").is_dir() and (kept_for_later / "model").is_dir()
    assert len(list(tmp_path.glob("checkpoints/*/manifest.json"))) == 1


def test_a_checkpoint_that_is_published_again_replaces_the_old_one(tmp_path: Path) -> None:
    publish(tmp_path, 1, loss=2.0)
    publish(tmp_path, 1, loss=1.0)
    (only,) = published(tmp_path)
    assert only.record["loss"] == 1.0
    only.verify("model")


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
