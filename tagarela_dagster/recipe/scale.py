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
        "pretrain": {
            "steps": 200,
            "processes": 2,
            "micro_batch": 4,
            "accumulation": 1,
            "warmup_steps": 20,
            "checkpoint_every": 100,
        },
        "sft": {"steps": 40, "batch": 8, "max_length": 256, "lora_rank": 8},
    },
    "evals": {"held_out": {"max_documents": 200, "max_characters": 2000}},
}
"""Largest values under ``--scale tiny``."""

TINY_SHAPE = {"hidden": 128, "heads": 4, "kv_heads": None, "intermediate": None}
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
    scaled["training"]["pretrain"]["precision"] = "fp32"
    for task in scaled["evals"]["last_word"].values():
        task["max_items"] = min(task["max_items"], 200)
    return scaled


def _cap(values: dict[str, Any], caps: dict[str, Any]) -> None:
    for key, cap in caps.items():
        if isinstance(cap, dict):
            _cap(values[key], cap)
        elif values[key] is not None:
            values[key] = min(values[key], cap)
