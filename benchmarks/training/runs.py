"""Runs to measure: real text, tokenized and mixed as the assets do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.corpus.texts import first
from benchmarks.tokens import write_shard
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe import Recipe
from tagarela_dagster.recipe.tokens import Mixture, Tokenizer
from tagarela_dagster.training.mixing.mixture import lay_mixture
from tagarela_dagster.training.stage import StageRun
from tagarela_dagster.training.tokens.token_shards import tokenize_partition
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer

VOCABULARY = 8192
SEED = 1


def make_run(folder: Path, model: dict[str, Any], **pretrain: Any) -> StageRun:
    """A pretraining in ``folder`` over 2 MB of text, with tokenizer, tokens and mixture."""
    source = {"reader": "files", "path": "bench", "license": "CC0-1.0"}
    training = {"model": model, "pretrain": pretrain}
    recipe = Recipe.model_validate(
        {"name": "bench", "seed": SEED, "sources": {"bench": source}, "training": training}
    )
    texts, tokenizer = list(first(2)), folder / "tokenizer"
    train_tokenizer(texts, Tokenizer(vocabulary=VOCABULARY), tokenizer)
    lake = Lake(folder / "lake")
    shard = write_shard(folder / "clean", texts)
    with lake.write("tokens", "bench@1", code_version="1", section={}, inputs={}) as writer:
        tokens = tokenize_partition(writer, [shard], tokenizer, held_out_share=0.0, seed=SEED)
    lay_mixture(
        lake,
        [tokens],
        Mixture.model_validate({"sources": {"bench": {"max_epochs": 100}}}),
        context=recipe.training.model.context,
        sequences=recipe.training_sequences,
        seed=SEED,
        out=folder / "mixture",
        scratch=folder / "survey",
    )
    inputs = {"mixture": folder / "mixture", "lake": lake.root, "tokenizer": tokenizer}
    return StageRun(recipe, "pretrain", inputs, folder / "run")
