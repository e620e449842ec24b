"""Drop a partition's duplicates: the kernel of ``deduped``.

A dropped document's ``meta`` says which document it duplicates (``duplicate_of``: id and snapshot
of the survivor). A kept document is left as it is: its cluster's size is in ``clusters.parquet``
and not in ``meta``, because it grows with every later snapshot, and every partition that holds a
survivor would have to be written again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA
from tagarela_dagster.corpus.stage import SHARD_KEY, Kernel, Outcome

Drops = dict[str, tuple[str, str]]
"""Id -> reason and what it duplicates, of one document shard."""

_META = DOCUMENT_SCHEMA.get_field_index("meta")


def make_kernel(drop_lists: Sequence[Path]) -> Kernel:
    """Kernel of one partition.

    Args:
        drop_lists: the partition's ``keep/PARTITION.parquet`` of ``clusters``; none when all of
            its documents are kept.
    """
    drops: dict[str, Drops] = {}

    def kernel(batch: pa.RecordBatch) -> Outcome:
        shard = (batch.schema.metadata or {})[SHARD_KEY].decode()
        if shard not in drops:
            drops.clear()
            drops[shard] = _read(drop_lists, shard)
        found = [drops[shard].get(name) for name in batch.column("id").to_pylist()]
        reasons = pa.array([drop and drop[0] for drop in found], pa.string())
        metas = [
            _with_survivor(meta, drop[1]) if drop else meta
            for meta, drop in zip(batch.column("meta").to_pylist(), found, strict=True)
        ]
        documents = batch.set_column(_META, DOCUMENT_SCHEMA.field(_META), pa.array(metas))
        return Outcome(documents, reasons, {})

    return kernel


def _read(drop_lists: Sequence[Path], shard: str) -> Drops:
    drops: Drops = {}
    for path in drop_lists:
        rows = pq.read_table(path, filters=[("shard", "=", shard)]).to_pydict()
        reasons = zip(rows["reason"], rows["duplicate_of"], strict=True)
        drops.update(zip(rows["id"], reasons, strict=True))
    return drops


def _with_survivor(meta: str, survivor: str) -> str:
    fields = {**json.loads(meta), "duplicate_of": survivor}
    return json.dumps(fields, ensure_ascii=False, sort_keys=True)
