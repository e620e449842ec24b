"""A lake with a clean corpus of two sources, and its recipe."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagarela_dagster.corpus.card.lineage import STAGES
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.shards import ShardWriter
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.model import Recipe

TEXTS = {
    "blogues@2021": [
        ("A padaria da esquina abre cedo.", "https://Pao.example.pt:8080/a?b", "2021-03-04"),
        ("O rio subiu até ao muro do quintal.", "http://pao.example.pt/c", "2021-12-31"),
        ("Choveu | todo o dia.", None, None),
    ],
    "blogues@2022": [("O comboio parte às nove.", "https://linha.example/x", "2022-01-01")],
    "livros@1": [("Era uma vez um faroleiro.", None, "1899-05-01")],
}
DROPPED = {"filtered": ("top_2_gram", 2, 50), "clean": ("benchmark_oab", 1, 20)}


def make_recipe(**card: Any) -> Recipe:
    """Recipe of the two sources, with settings of the card."""
    sources = {
        "blogues": {"reader": "files", "path": "/nowhere", "license": "CC-BY-4.0"},
        "livros": {"reader": "files", "path": "/nowhere", "license": "LicenseRef-public-domain"},
    }
    return Recipe.model_validate(
        {"name": "amostra", "description": "Uns textos.", "sources": sources}
        | {"corpus": {"card": card}}
    )


def make_lake(root: Path, recipe: Recipe) -> Lake:
    """Publish every stage that the card reads, ``clean`` with text."""
    lake = Lake(root)
    for asset in ("clusters", "benchmarks"):
        section = recipe.section(asset)
        with lake.write(asset, code_version="1", section=section, inputs={}) as writer:
            path = writer.data / "items" / "oab.jsonl"
            path.parent.mkdir()
            path.write_text("{}\n")
            items = writer.publish([Shard.of(writer.data, "items/oab.jsonl", 1)], {})
    for key, rows in TEXTS.items():
        source, snapshot = key.split("@")
        documents = [
            Document(
                str(number),
                text,
                url=url,
                date=datetime.date.fromisoformat(date) if date else None,
                license=recipe.sources[source].license,
                variety="pt-PT" if source == "blogues" else None,
                quality={"words": float(len(text.split()))},
            ).row(source, snapshot)
            for number, (text, url, date) in enumerate(rows)
        ]
        size = sum(len(text.encode()) for text, _, _ in rows)
        inputs = {"benchmarks": items.hash}
        for stage in STAGES:
            made = _publish(lake, recipe, stage, key, documents, size, inputs)
            inputs[f"{stage}[{key}]"] = made.hash
    return lake


def _publish(
    lake: Lake,
    recipe: Recipe,
    stage: str,
    key: str,
    rows: list[dict[str, Any]],
    size: int,
    inputs: Mapping[str, str],
) -> Manifest:
    source, snapshot = key.split("@")
    ledger = Ledger(stage, source, snapshot, len(rows), size, len(rows), size)
    if stage in DROPPED:
        reason, documents, lost = DROPPED[stage]
        ledger.drop(reason, documents, lost)
        ledger.documents_in += documents
        ledger.bytes_in += lost
    section = recipe.section(stage)
    with lake.write(stage, key, code_version="1", section=section, inputs=inputs) as writer:
        shards = []
        if stage == "clean":
            with ShardWriter(writer.data / "kept", "00000-000", DOCUMENT_SCHEMA) as kept:
                kept.write(pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA))
            shards = [Shard.of(writer.data, f"kept/{name}", n) for name, n in kept.written]
        return writer.publish(shards, {"ledger": ledger.as_json()})
