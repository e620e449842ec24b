"""A tiny pretraining on hand-written tokens: two sources, packed documents, a real tokenizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe import Recipe
from tagarela_dagster.recipe.tokens import Mixture, Tokenizer
from tagarela_dagster.training.mixing.mixture import lay_mixture
from tagarela_dagster.training.stage import StageRun
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer
from tests.training.token_lake import write_tokens

CONTEXT = 32
TEXTS = [
    "O rio corre devagar junto à vila, e as crianças brincam na margem até ao fim da tarde.",
    "A menina comprou pão na padaria da esquina e voltou para casa antes da chuva.",
    "Os pescadores saem de madrugada, quando o mar ainda está escuro e o vento é fraco.",
]
MODEL = {"architecture": "llama", "hidden": 32, "layers": 2, "heads": 2, "context": CONTEXT}
PRETRAIN = {
    "steps": 6,
    "processes": 2,
    "micro_batch": 2,
    "precision": "fp32",
    "learning_rate": 1e-2,
    "warmup_steps": 2,
    "checkpoint_every": 3,
}


def tiny_recipe(model: dict[str, Any] | None = None, **pretrain: Any) -> Recipe:
    """Recipe of the run; ``pretrain`` and ``model`` change fields."""
    training = {"model": MODEL | (model or {}), "pretrain": PRETRAIN | pretrain}
    source = {"reader": "files", "path": "x", "license": "CC0-1.0"}
    return Recipe.model_validate(
        {"name": "tiny", "seed": 7, "sources": {"rio": source, "mar": source}, "training": training}
    )


def tiny_run(folder: Path, model: dict[str, Any] | None = None, **pretrain: Any) -> StageRun:
    """Tokenizer, token partitions and mixture below ``folder``, and a run over them."""
    tokenizer = folder / "tokenizer"
    report = train_tokenizer(TEXTS, Tokenizer(vocabulary=300, min_frequency=1), tokenizer)
    lake = Lake(folder / "lake")
    counts = {"sha256": report.sha256, "vocabulary": report.vocabulary, "eos": 0, "dtype": "uint16"}
    draw = np.random.default_rng(3)
    manifests = []
    for source in ("rio", "mar"):
        lengths = draw.integers(5, 40, size=40)
        # A rising run is easy to learn, so the loss falls within a few steps.
        documents = [[int(v) for v in 10 + (np.arange(n) + n) % 50] for n in lengths]
        manifests.append(write_tokens(lake, f"{source}@1", [documents], counts))
    recipe = tiny_recipe(model, **pretrain)
    many = {"max_epochs": 50}
    section = Mixture.model_validate({"sources": {"rio": many, "mar": many}})
    sequences = recipe.training_sequences
    mixture = folder / "mixture"
    lay_mixture(
        lake,
        manifests,
        section,
        context=CONTEXT,
        sequences=sequences,
        seed=7,
        out=mixture,
        scratch=folder / "survey",
    )
    inputs = {"mixture": mixture, "lake": lake.root, "tokenizer": tokenizer}
    return StageRun(recipe, "pretrain", inputs, folder / "run")


def into(
    run: StageRun, out: Path, model: dict[str, Any] | None = None, **pretrain: Any
) -> StageRun:
    """The same tokens, another run folder or other settings."""
    return replace(run, out=out, recipe=tiny_recipe(model, **pretrain))
