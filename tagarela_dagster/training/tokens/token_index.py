"""Token index: what is stored of each tokenized document, and where token shards lie.

Whatever a mixture tells documents apart by is a column here, so that it can be changed without
tokenizing again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA
from tagarela_dagster.corpus.stage import split_partition
from tagarela_dagster.provenance.manifest import Manifest

CARRIED = ("source", "variety", "variety_score", "license", "quality")
"""Columns of the clean documents that the index repeats."""

INDEX_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        *(DOCUMENT_SCHEMA.field(name) for name in CARRIED),
    ]
)
"""``start`` in tokens from the start of the shard, ``length`` with the end token."""


@dataclass(frozen=True)
class TokenShard:
    """A token shard by its place in the lake; documents are numbered through the source."""

    asset: str
    partition: str
    data: str
    path: str
    documents_path: str
    documents: int
    tokens: int


def shards_by_source(manifests: Sequence[Manifest]) -> dict[str, list[TokenShard]]:
    """Source -> its token shards, in the order in which its documents are numbered."""
    shards: dict[str, list[TokenShard]] = {}
    for manifest in sorted(manifests, key=lambda m: m.partition or ""):
        source, _ = split_partition(manifest.partition or "")
        shards.setdefault(source, []).extend(_shards(manifest))
    return shards


def tokenizers_of(manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    """The different tokenizers that made the partitions."""
    found = {json.dumps(m.counts["tokenizer"], sort_keys=True) for m in manifests}
    return [json.loads(tokenizer) for tokenizer in sorted(found)]


def _shards(manifest: Manifest) -> list[TokenShard]:
    documents = {Path(s.path).stem: s for s in manifest.select("documents/")}
    return [
        TokenShard(
            asset=manifest.asset,
            partition=manifest.partition or "",
            data=manifest.data_name,
            path=shard.path,
            documents_path=documents[Path(shard.path).stem].path,
            documents=documents[Path(shard.path).stem].rows,
            tokens=shard.rows,
        )
        for shard in manifest.select("tokens/")
        if shard.rows
    ]
