"""Token partitions written by hand, so that every token of a mixture is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tagarela_dagster.corpus.shards import ShardWriter
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.training.tokens.token_index import INDEX_SCHEMA

EOS = 0
TOKENIZER = {"sha256": "0" * 64, "vocabulary": 60_000, "eos": EOS, "dtype": "uint16"}


def write_tokens(
    lake: Lake,
    partition: str,
    shards: list[list[list[int]]],
    tokenizer: dict | None = None,
    columns: dict[str, list[Any]] | None = None,
) -> Manifest:
    """Publish tokens[partition]; ``shards`` holds documents without their end token.

    Args:
        columns: values of index columns for each document of the partition.
    """
    source = partition.split("@")[0]
    writing = lake.write("tokens", partition, code_version="1", section={}, inputs={})
    with writing as writer:
        files, first = [], 0
        for rank, documents in enumerate(shards):
            name = f"{rank:05d}"
            flat = [token for document in documents for token in [*document, EOS]]
            path = writer.data / "tokens" / f"{name}.tokens"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(np.array(flat, dtype="<u2").tobytes())
            files.append(Shard.of(writer.data, f"tokens/{name}.tokens", len(flat)))
            lengths = [len(document) + 1 for document in documents]
            starts = np.cumsum([0, *lengths])[:-1]
            rows: dict[str, Any] = {
                "id": [f"{source}:{rank}-{row}" for row in range(len(documents))],
                "start": starts.astype(np.int64),
                "length": np.array(lengths, dtype=np.int64),
                "source": [source] * len(documents),
            }
            last = first + len(documents)
            for column in INDEX_SCHEMA.names[4:]:
                values = (columns or {}).get(column)
                rows[column] = values[first:last] if values else [None] * len(documents)
            first = last
            with ShardWriter(writer.data / "documents", name, INDEX_SCHEMA) as index:
                index.write(pa.RecordBatch.from_pydict(rows, schema=INDEX_SCHEMA))
            for file, count in index.written:
                files.append(Shard.of(writer.data, f"documents/{file}", count))
        counts = {"tokenizer": tokenizer or TOKENIZER, "fertility": []}
        return writer.publish(files, counts)


def numbered_documents(lengths: list[int], first: int) -> list[list[int]]:
    """Documents whose tokens are all different, counting up from ``first``."""
    documents = []
    for length in lengths:
        documents.append(list(range(first, first + length)))
        first += length
    return documents


def folder_of(lake: Lake, manifest: Manifest) -> Path:
    """Data folder of a partition."""
    return lake.folder(manifest.asset, manifest.partition) / manifest.data_name
