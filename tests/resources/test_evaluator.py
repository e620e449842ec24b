from __future__ import annotations

from pathlib import Path

import pytest

from tagarela_dagster.resources.evaluator import score_checkpoint
from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.launching.failure import TrainingError
from tests.resources.two_sources import open_road, write_snapshot


def write_model(folder: Path) -> None:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"pesos" * 100)


@pytest.mark.parametrize(("damage", "sentence"), [("flip", "is damaged"), ("remove", "is missing")])
def test_a_damaged_checkpoint_gets_no_scores(tmp_path: Path, damage: str, sentence: str) -> None:
    write_snapshot(tmp_path, "jornal@2026-01", ["Um texto."])
    write_snapshot(tmp_path, "diario@2026-01", ["Outro texto."])
    road = open_road(tmp_path)
    run = road.home.runs / "pretrain" / "0123456789ab"
    published = checkpoints.publish_model(run, "step-000004", write_model, {"step": 4})
    weights = published.model / "model.safetensors"
    if damage == "flip":
        weights.write_bytes(weights.read_bytes()[:-1] + b"t")
    else:
        weights.unlink()
    [key] = road.checkpoints
    with (
        road.lake.write("scores", key, code_version="1", section={}, inputs={}) as writer,
        pytest.raises(TrainingError, match=f"model.safetensors {sentence}.*remove {run}"),
    ):
        score_checkpoint(writer, road=road, checkpoint=key)
    assert road.lake.partitions("scores") == []
