"""Tiny prunings and distillations: two sources, a parent of random weights or a trained one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tagarela_dagster.recipe import Recipe
from tagarela_dagster.training.stage import StageRun
from tests.training.tiny_run import tiny_run

MODEL = {"hidden": 48, "layers": 3, "heads": 6, "kv_heads": 3, "intermediate": 64}
TARGET = {"hidden": 32, "layers": 2, "heads": 4, "intermediate": 24}
SHARED = {
    "processes": 2,
    "micro_batch": 2,
    "precision": "fp32",
    "learning_rate": 5e-3,
    "warmup_steps": 1,
    "checkpoint_every": 4,
}
PRUNE = {
    "kind": "prune",
    "target": TARGET,
    "steps": 8,
    "sparsity_warmup_steps": 4,
    "reweight_every": 3,
    "probe_sequences": 4,
}


def tiny_stage(folder: Path, sequences: int = 160) -> StageRun:
    """A mixture of ``sequences``, below ``folder``, and a parent of random weights."""
    from tagarela_dagster.training.models.model import build_model, load_tokenizer

    run = tiny_run(folder, steps=sequences // 4)
    recipe = with_stage(run, "small", PRUNE).recipe
    tokenizer = load_tokenizer(run.inputs["tokenizer"])
    parent = folder / "pretrain"
    build_model(recipe.training.model, tokenizer, 3).save_pretrained(parent / "model")
    tokenizer.save_pretrained(parent / "model")
    return replace(run, inputs={**run.inputs, "pretrain": parent})


def with_stage(run: StageRun, name: str, stage: dict[str, Any], **pretrain: Any) -> StageRun:
    """A run of stage ``name`` over the same tokens; ``pretrain`` takes but one step of them."""
    values = run.recipe.as_json()
    values["training"]["model"] |= MODEL
    values["training"]["pretrain"] |= {"steps": 1, "warmup_steps": 0} | pretrain
    values["training"]["stages"] = {name: SHARED | stage}
    return replace(run, name=name, recipe=Recipe.model_validate(values))


def into(run: StageRun, name: str, **changes: Any) -> StageRun:
    """The same in a run folder of its own, with other settings."""
    values = run.recipe.as_json()
    values["training"]["stages"][run.name] |= changes
    return replace(run, out=run.out.parent / name, recipe=Recipe.model_validate(values))
