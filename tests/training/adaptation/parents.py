"""Parents of the adaptation tests: a made base, and a stage run whose inputs are laid by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.recipe import Recipe
from tagarela_dagster.recipe.shape import Model
from tagarela_dagster.recipe.stage import Lora
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.adaptation.lora import load_parent, save_adapter
from tagarela_dagster.training.adaptation.made import make_model
from tagarela_dagster.training.adaptation.merge import MergeReport, merge_adapter
from tagarela_dagster.training.adaptation.probe import probe_ids
from tagarela_dagster.training.models.model import load_tokenizer
from tagarela_dagster.training.stage import StageRun
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer
from tests.training.tiny_run import TEXTS

SHAPE = {"hidden": 32, "layers": 2, "heads": 2, "context": 128, "tie_embeddings": False}
LORA = Lora(rank=4, alpha=8)


def make_parent(folder: Path, **shape: Any) -> Path:
    """A stage's folder with ``model`` in it: a base of random weights."""
    make_model(Model.model_validate(SHAPE | shape), 1, folder / "model")
    return folder


def portuguese_tokenizer(folder: Path) -> Path:
    train_tokenizer(TEXTS, Tokenizer(vocabulary=390, min_frequency=1), folder)
    return folder


def held_out(folder: Path) -> Path:
    folder.mkdir(parents=True)
    table = pa.table({"id": [str(i) for i in range(len(TEXTS))], "text": TEXTS})
    pq.write_table(table, folder / "held_out-00000.parquet")
    return folder


def stage_run(
    out: Path, name: str, training: dict[str, Any], inputs: dict[str, Path] | None = None
) -> StageRun:
    source = {"reader": "files", "path": "x", "license": "CC0-1.0"}
    recipe = Recipe.model_validate(
        {"name": "tiny", "seed": 7, "sources": {"rio": source}, "training": training}
    )
    return StageRun(recipe, name, inputs or {}, out)


def train_adapter(
    model: Path, adapter: Path, method: Any, *, precision: Any = "fp32", lora: Lora = LORA
) -> list[float]:
    """Eight steps on one sentence; the losses."""
    import torch

    network = load_parent(model, method, precision, lora)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-2)
    ids = torch.tensor([load_tokenizer(model)(TEXTS[0])["input_ids"]])
    losses = []
    for _ in range(8):
        loss = network(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    save_adapter(network, adapter, method=method, precision=precision, lora=lora)
    return losses


def adapt(parent: Path, out: Path, method: Any, **settings: Any) -> MergeReport:
    """Train an adapter beside a parent and merge it: ``out/adapter`` and ``out/model``."""
    onto = settings.pop("onto", "dequantised")
    train_adapter(parent / "model", out / "adapter", method, **settings)
    tokenizer = load_tokenizer(parent / "model")
    return merge_adapter(
        parent / "model",
        out / "adapter",
        out / "model",
        tokenizer,
        probe_ids(tokenizer, 64),
        onto=onto,
    )


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {
        k: v for path in sorted(folder.glob("*.safetensors")) for k, v in load_file(path).items()
    }


def edit_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
