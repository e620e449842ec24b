from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tagarela_dagster.recipe import Recipe
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.merging import average, merge
from tagarela_dagster.training.models.model import build_model, load_tokenizer
from tagarela_dagster.training.stage import StageRun
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer
from tests.training.tiny_run import TEXTS, tiny_recipe

STAGES = {
    "soup": {"kind": "average", "last": 2},
    "both": {"kind": "merge", "models": {"pretrain": 1.0, "soup": 3.0}},
    "ties": {
        "kind": "merge",
        "method": "ties",
        "origin": "pretrain",
        "models": {"soup": 1, "both": 1},
    },
}


def recipe() -> Recipe:
    values = tiny_recipe().as_json()
    return Recipe.model_validate(values | {"training": values["training"] | {"stages": STAGES}})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models of random weights, and a third whose weights are far too large."""
    folder: Path = tmp_path_factory.mktemp("models")
    train_tokenizer(TEXTS, Tokenizer(vocabulary=300, min_frequency=1), folder / "tokenizer")
    tokenizer = load_tokenizer(folder / "tokenizer")
    found = {}
    for name, seed, scale in (("one", 1, 1.0), ("two", 2, 1.0), ("wild", 3, 9.0)):
        model: Any = build_model(recipe().training.model, tokenizer, seed)
        for parameter in model.parameters():
            parameter.data *= scale
        # Two shards and an index, as large models have.
        model.save_pretrained(folder / name / "model", max_shard_size="40KB")
        tokenizer.save_pretrained(folder / name / "model")
        found[name] = folder / name
    return found


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("held_out")
    table = pa.table({"id": [f"d{i}" for i in range(3)], "text": TEXTS})
    pq.write_table(table, folder / "held_out.parquet")
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        k: v for path in sorted(folder.glob("*.safetensors")) for k, v in load_file(path).items()
    }


def test_a_merge_is_a_model_like_any_other_and_says_who_was_compared(
    models: dict[str, Path], held_out: Path, tmp_path: Path
) -> None:
    inputs = {"pretrain": models["one"], "soup": models["two"], "held_out": held_out}
    result = merge.train(StageRun(recipe(), "both", inputs, tmp_path))
    merged, one, two = (weights(f / "model") for f in (tmp_path, models["one"], models["two"]))
    for name, tensor in merged.items():
        torch.testing.assert_close(tensor, one[name] / 4 + two[name] * 3 / 4)
    assert {row["candidate"] for row in result["candidates"]} == {"merged", "pretrain", "soup"}
    assert result["kept"] == "merged"
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert result["parameters"] == sum(p.numel() for p in loaded.parameters())


def test_a_merge_that_is_worse_is_not_kept_and_the_best_goes_on(
    models: dict[str, Path], held_out: Path, tmp_path: Path
) -> None:
    inputs = {"pretrain": models["one"], "soup": models["wild"], "held_out": held_out}
    result = merge.train(StageRun(recipe(), "both", inputs, tmp_path))
    assert result["kept"] == "pretrain"
    assert result["difference_low"] > 0
    kept, one = weights(tmp_path / "model"), weights(models["one"] / "model")
    assert all(torch.equal(kept[name], one[name]) for name in one)


def test_ties_reads_its_origin(models: dict[str, Path], held_out: Path, tmp_path: Path) -> None:
    inputs = {"pretrain": models["one"], "soup": models["two"], "both": models["two"]}
    run = StageRun(recipe(), "ties", inputs | {"held_out": held_out}, tmp_path)
    assert merge.train(run)["folders"] == {"model": "model"}
    moved = weights(tmp_path / "model")["model.layers.0.mlp.up_proj.weight"]
    start = weights(models["one"] / "model")["model.layers.0.mlp.up_proj.weight"]
    changed = float((moved != start).float().mean())
    assert changed == pytest.approx(0.2, abs=0.01), "density 0.2: a fifth of the entries move"


def test_the_average_is_over_the_last_checkpoints_and_verifies_them(
    models: dict[str, Path], held_out: Path, tmp_path: Path
) -> None:
    import shutil

    parent = tmp_path / "pretrain"
    for step, name in ((1, "wild"), (2, "one"), (3, "two")):
        source = models[name] / "model"
        checkpoints.publish_model(
            parent,
            f"step-{step:06d}",
            lambda out, s=source: shutil.copytree(s, out),
            {"step": step},
        )
    inputs = {"pretrain.run": parent, "held_out": held_out}
    run = StageRun(recipe(), "soup", inputs, tmp_path / "run")
    result = average.train(run)
    assert result["averaged"] == "step-000002, step-000003"
    merged, one, two = (
        weights(f / "model") for f in (tmp_path / "run", models["one"], models["two"])
    )
    for name, tensor in merged.items():
        torch.testing.assert_close(tensor, (one[name] + two[name]) / 2)
    bad = next((parent / "checkpoints" / "step-000003" / "model").glob("*.safetensors"))
    bad.write_bytes(bad.read_bytes()[:-1] + b"\0")
    with pytest.raises(TrainingError, match="is damaged"):
        average.train(run)


def test_models_of_another_shape_or_vocabulary_are_refused(
    models: dict[str, Path], held_out: Path, tmp_path: Path
) -> None:
    import shutil

    other = tmp_path / "other"
    shutil.copytree(models["two"], other)
    path = sorted((other / "model").glob("*.safetensors"))[0]
    tensors = load_file(path)
    name = next(n for n, t in tensors.items() if t.dim() == 2)
    save_file({**tensors, name: tensors[name][:-1].contiguous()}, path)
    inputs = {"pretrain": models["one"], "soup": other, "held_out": held_out}
    with pytest.raises(TrainingError, match=f"not of pretrain's shape: {name} is"):
        merge.train(StageRun(recipe(), "both", inputs, tmp_path / "run"))
    shutil.copytree(models["two"], tmp_path / "third")
    tokenizer = tmp_path / "third" / "model" / "tokenizer.json"
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()) | {"version": "2.0"}))
    with pytest.raises(TrainingError, match="different tokenizers"):
        merge.train(StageRun(recipe(), "both", inputs | {"soup": tmp_path / "third"}, tmp_path))
