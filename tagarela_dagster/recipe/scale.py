"""``--scale tiny``: any recipe, small enough to run on 2 cores in minutes.

Only sizes shrink: model, steps, vocabulary, evaluated items. Rules, sources and formats stay, so
a tiny run proves the same road.
"""

from __future__ import annotations

from typing import Any

from tagarela_dagster.recipe.model import Recipe

SCALES = ("full", "tiny")

TINY_CAPS: dict[str, Any] = {
    "tokens": {"tokenizer": {"vocabulary": 4096, "max_training_megabytes": 20}},
    "training": {
        "model": {"layers": 4, "context": 256, "window": 64},
    },
    "evals": {"held_out": {"max_documents": 200, "max_characters": 2000}},
}
"""Largest values under ``--scale tiny``."""

PRETRAIN_CAPS: dict[str, Any] = {
    "steps": 100,
    "processes": 2,
    "micro_batch": 4,
    "accumulation": 1,
    "checkpoint_every": 50,
    "offload": {"optimizer": "none", "parameters": "none"},
}
STAGE_CAPS: dict[str, Any] = {
    **PRETRAIN_CAPS,
    "steps": 20,
    "checkpoint_every": 10,
    "max_length": 256,
    "max_answer": 16,
    "last": 2,
    "reweight_every": 5,
    "probe_sequences": 4,
    "lora": {"rank": 8},
    "target": {"hidden": 64, "layers": 2, "heads": 2, "intermediate": 192},
}

BUNDLED = {
    "sft": "sample:instruct/conversas.jsonl",
    "preference": "sample:instruct/preferencias.jsonl",
    "reward": "sample:instruct/preferencias.jsonl",
    "grpo": "sample:instruct/verificaveis.jsonl",
}
"""Data of fine-tunings, in place of files that the environment names."""

TINY_HELD_OUT = 0.25
TINY_PRETRAIN_RATE = 3e-3
TINY_RATE = {"full": 1e-3, "lora": 5e-3, "qlora": 5e-3}

TINY_SHAPE = {"parameters": None, "hidden": 128, "heads": 4, "kv_heads": None, "intermediate": None}
"""Replaces the width of a larger model; heads must divide it."""


def scale_values(values: dict[str, Any], recipe: Recipe, scale: str) -> dict[str, Any]:
    """Values of ``recipe`` at a scale.

    Raises:
        ValueError: no such scale.
    """
    if scale == "full":
        return values
    if scale != "tiny":
        raise ValueError(f"scale {scale!r} is not one of {', '.join(SCALES)}")
    scaled = recipe.model_dump(mode="json")
    _cap(scaled, TINY_CAPS)
    model = scaled["training"]["model"]
    if model["hidden"] > TINY_SHAPE["hidden"]:
        kv_share = 2 if recipe.training.model.kv_heads else None
        model.update(TINY_SHAPE, kv_heads=kv_share)
    _shrink_stages(scaled["training"])
    for task in scaled["evals"]["last_word"].values():
        task["max_items"] = min(task["max_items"], 200)
    return scaled


def _shrink_stages(training: dict[str, Any]) -> None:
    base = training["base"]
    if base:
        made = {"architecture": "llama", "layers": TINY_CAPS["training"]["model"]["layers"]}
        base["made"] = {**made, **TINY_SHAPE, "context": training["model"]["context"]}
    _shrink_stage(training["pretrain"], PRETRAIN_CAPS)
    for stage in training["stages"].values():
        _shrink_stage(stage, STAGE_CAPS)


def _shrink_stage(stage: dict[str, Any], caps: dict[str, Any]) -> None:
    if "${" in stage.get("data", ""):
        stage["data"] = BUNDLED[stage["kind"]]
    if "held_out" in stage:
        stage["held_out"] = TINY_HELD_OUT  # the bundled sets are small
    if "learning_rate" in stage:
        # So few steps of so small a model move nothing at a large one's rate.
        rate = TINY_RATE[stage["method"]] if "max_length" in stage else TINY_PRETRAIN_RATE
        stage["learning_rate"] = max(stage["learning_rate"], rate)
    if stage.get("epochs") is not None:
        stage.update(epochs=None, steps=caps["steps"])
    known = {key: cap for key, cap in caps.items() if key in stage and stage[key] is not None}
    for key, cap in known.items():
        stage[key] = {**stage[key], **cap} if isinstance(cap, dict) else min(stage[key], cap)
    if "precision" in stage and stage["kind"] != "release":
        stage["precision"] = "fp32"
    if "steps" in stage:
        # Parts of a schedule keep their order within far fewer steps.
        for part in ("warmup_steps", "cooldown_steps", "decay_steps", "sparsity_warmup_steps"):
            if stage.get(part):
                stage[part] = min(stage[part], max(1, stage["steps"] // 10))
    if stage.get("ramp"):
        stage["ramp"]["steps"] = min(stage["ramp"]["steps"], max(1, stage["steps"] // 4))


def _cap(values: dict[str, Any], caps: dict[str, Any]) -> None:
    for key, cap in caps.items():
        if isinstance(cap, dict):
            _cap(values[key], cap)
        elif values[key] is not None:
            values[key] = min(values[key], cap)
