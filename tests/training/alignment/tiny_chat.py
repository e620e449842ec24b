"""A tiny model and a few conversations to tune it on, as the stages of a recipe."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tagarela_dagster.recipe import Recipe
from tagarela_dagster.recipe.shape import Model
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.models.model import build_model, load_tokenizer
from tagarela_dagster.training.stage import StageRun
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer
from tests.training.tiny_run import TEXTS

CAPITALS = {"Portugal": "Lisboa", "Espanha": "Madrid", "França": "Paris", "Itália": "Roma"}
SHAPE = {"hidden": 32, "layers": 2, "heads": 2, "context": 96}
COMMON = {"learning_rate": 0.02, "max_length": 96, "micro_batch": 2, "lora": {"rank": 8}}


def ask(country: str) -> dict[str, str]:
    return {"role": "user", "content": f"Qual é a capital de {country}?"}


def say(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


CONVERSATIONS = [[ask(country), say(f"É {city}.")] for country, city in CAPITALS.items()]


def write_rows(path: Path, rows: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


def make_parent(folder: Path, **shape: Any) -> Path:
    """An untrained model with its tokenizer in ``folder/model``, as a stage leaves it."""
    model = folder / "model"
    texts = TEXTS + [m["content"] for c in CONVERSATIONS for m in c] + ["sistema utilizador"]
    train_tokenizer(texts, Tokenizer(vocabulary=400, min_frequency=1), model)
    built = build_model(Model.model_validate(SHAPE | shape), load_tokenizer(model), seed=1)
    built.save_pretrained(model)
    return folder


def stage_run(parent: Path, data: Path, out: Path, kind: str, **fields: Any) -> StageRun:
    """A run of a stage that starts from ``parent`` and reads ``data``."""
    section = {"kind": kind, **COMMON, **fields}
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "seed": 7,
            "sources": {"rio": {"reader": "files", "path": "x", "license": "CC0-1.0"}},
            "training": {"model": SHAPE, "stages": {"tuned": section}},
        }
    )
    return StageRun(recipe, "tuned", {"pretrain": parent, "data": data}, out)


PAIRS = [
    {
        "prompt": [ask(country + when)],
        "chosen": [say(f"É {city}.")],
        "rejected": [say("Não sei.")],
    }
    for country, city in CAPITALS.items()
    for when in ("", " hoje")
]
PROMPTS = [
    {"prompt": pair["prompt"], "answer": pair["chosen"][0]["content"][2:-1], "variety": "pt-PT"}
    for pair in PAIRS
]
