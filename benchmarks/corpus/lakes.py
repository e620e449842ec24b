"""Partitions for a stage to start from, written without the stages before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa

from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.shards import ShardWriter, text_bytes
from tagarela_dagster.corpus.stage import (
    DECISION_SCHEMA,
    Outcome,
    publish_parts,
    split_partition,
    write_part,
)
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest

Content = Mapping[str, tuple[pa.Schema, Iterable[pa.RecordBatch]]]
"""Folder with a slash at its end -> schema and batches."""


def write_partition(lake: Lake, asset: str, key: str, content: Content) -> Manifest:
    """Publish a partition whose only shard of each folder holds the batches."""
    ledger = Ledger(asset, *split_partition(key))
    written: dict[str, list[tuple[str, int]]] = {}
    with lake.write(asset, key, code_version="b", section={}, inputs={}) as writer:
        for folder, (schema, batches) in content.items():
            with ShardWriter(writer.data / folder, "00000", schema) as out:
                for batch in batches:
                    out.write(batch)
                    for name in ("documents_in", "documents_kept"):
                        setattr(ledger, name, getattr(ledger, name) + batch.num_rows)
                    for name in ("bytes_in", "bytes_kept"):
                        setattr(ledger, name, getattr(ledger, name) + text_bytes(batch))
            written[folder.rstrip("/")] = out.written
        write_part(writer.staging, 0, ledger, written)
        return publish_parts(writer, 1)


def keep_all(ids: pa.Array) -> pa.RecordBatch:
    """Decisions that keep every document."""
    columns = [
        pa.nulls(len(ids), field.type) if field.nullable else ids for field in DECISION_SCHEMA
    ]
    columns[1] = pa.array([0] * len(ids), pa.int64())
    return pa.RecordBatch.from_arrays(columns, schema=DECISION_SCHEMA)


def copy_kernel() -> Callable[[pa.RecordBatch], Outcome]:
    """A kernel of ``clean`` that looks for no benchmark item."""
    return lambda batch: Outcome(batch, pa.nulls(batch.num_rows, pa.string()), {})
