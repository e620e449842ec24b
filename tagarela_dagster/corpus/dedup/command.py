"""The library behind ``tagarela dedup IN… OUT``: exact and near duplicates of anybody's files.

Two streaming passes over Parquet and JSON Lines with a ``text`` column: the first signs, the second
writes. Between them 20 bytes a document are in memory, or in mapped files when they are many;
hashes beyond a gigabyte are sorted on disk. Of two duplicates the one of the earlier input, and
within an input the earlier row, survives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from xxhash import xxh64_intdigest

from tagarela_dagster.corpus.dedup.copies import Copies, find_copies
from tagarela_dagster.corpus.dedup.keep import EXACT_DUPLICATE, NEAR_DUPLICATE
from tagarela_dagster.corpus.dedup.members import EXACT, NEAR
from tagarela_dagster.corpus.dedup.minhash import Signer
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.corpus.dedup.signatures import signature_batch, signature_schema
from tagarela_dagster.corpus.dedup.unique_ids import UniqueIds
from tagarela_dagster.corpus.document import Rejected
from tagarela_dagster.corpus.filtering.results import results_folder, writing
from tagarela_dagster.corpus.shards import ShardWriter, text_bytes
from tagarela_dagster.corpus.tables import (
    TableError,
    check_outside,
    ignore,
    read_tables,
    table_schema,
)
from tagarela_dagster.recipe.dedup import Dedup

CLUSTER_SCHEMA = pa.schema(
    [
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("size", pa.uint32(), nullable=False),
        pa.field("kind", pa.string()),
    ]
)
"""Members of clusters of two or more; ``cluster`` is the survivor's id, ``kind`` exact or near."""

_REASONS = {EXACT: EXACT_DUPLICATE, NEAR: NEAR_DUPLICATE}

RESULTS = (
    "quarantine.jsonl",
    "clusters.parquet",
    "dropped.parquet",
    "kept.parquet",
    "summary.json",
)


def dedup_files(
    inputs: Sequence[Path],
    out: Path,
    section: Dedup,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Deduplicate files or folders of files and write the results to ``out``.

    Writes ``kept.parquet`` and ``dropped.parquet`` (the inputs' columns; dropped documents also
    ``reason``), ``clusters.parquet``, ``summary.json``, and ``quarantine.jsonl`` when records could
    not be read. Ids are made unique: the second document with the id X becomes ``X#2``.

    Args:
        progress: called with the number of documents of each signed batch.

    Returns:
        What ``summary.json`` holds: ``documents_in``, ``documents_kept``, ``dropped`` (reason ->
        documents), ``bytes_in``, ``bytes_kept``, ``bytes_dropped``, ``clusters``,
        ``largest_cluster``, ``ids_renamed``, ``quarantined``. Bytes are UTF-8 bytes of text.

    Raises:
        TableError: the inputs cannot be read as one table, or have changed between the passes.
        OutputError: ``out`` cannot be written to.
    """
    check_outside(inputs, out)
    schema = table_schema(inputs)
    with results_folder(out, RESULTS) as staging, writing(out):
        with (staging / "quarantine.jsonl").open("w", encoding="utf-8") as file:
            quarantine = _Quarantine(file)
            ids = _sign(inputs, schema, staging, section, quarantine, progress)
        if not quarantine.records:
            (staging / "quarantine.jsonl").unlink()
        with Scratch(staging / "scratch") as scratch:
            signed = sorted(staging.glob("signatures*.parquet"))
            copies = find_copies(signed, len(ids), section, scratch)
            second = _Writer(staging, schema, copies, UniqueIds(ids))
            with second:
                for batch in read_tables(inputs, ignore, schema):
                    second.write(batch)
        summary = {**second.summary(), "quarantined": quarantine.records}
        text = json.dumps(summary, ensure_ascii=False, indent=2)
        (staging / "summary.json").write_text(text + "\n", encoding="utf-8")
    return summary


class _Quarantine:
    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.records = 0

    def __call__(self, record: Rejected) -> None:
        self.records += 1
        self.file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")


def _sign(
    inputs: Sequence[Path],
    schema: pa.Schema,
    staging: Path,
    section: Dedup,
    quarantine: _Quarantine,
    progress: Callable[[int], None] | None,
) -> NDArray[np.uint64]:
    """First pass: ``signatures.parquet`` of all documents; the hash of every id."""
    signer = Signer(section.minhash)
    columns = signature_schema(section.minhash)
    hashes = [np.empty(0, np.uint64)]
    with ShardWriter(staging, "signatures", columns) as out:
        for batch in read_tables(inputs, quarantine, schema):
            ids = batch.column("id")
            signatures = signer.sign(batch.column("text"))
            out.write(signature_batch(ids, signatures, columns))
            hashes.append(np.fromiter(map(xxh64_intdigest, ids.to_pylist()), np.uint64))
            if progress:
                progress(batch.num_rows)
    return np.concatenate(hashes)


class _Writer:
    """Second pass: part the documents by their clusters."""

    def __init__(self, staging: Path, schema: pa.Schema, copies: Copies, unique: UniqueIds) -> None:
        self.copies = copies
        self.unique = unique
        self.documents = self.documents_kept = self.bytes = self.bytes_kept = 0
        self.dropped: Counter[str] = Counter()
        self.names: dict[int, str] = {}
        others = pa.schema([field for field in schema if field.name != "reason"])
        self.files = {
            "kept": ShardWriter(staging, "kept", schema),
            "dropped": ShardWriter(
                staging, "dropped", others.append(pa.field("reason", pa.string(), nullable=False))
            ),
            "clusters": ShardWriter(staging, "clusters", CLUSTER_SCHEMA),
        }

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: Any) -> None:
        for file in self.files.values():
            file.__exit__(*error)
        if error[0] is None:
            self._check()
            for name, file in self.files.items():
                path = file.folder / f"{name}.parquet"
                if not path.exists():
                    pq.write_table(file.schema.empty_table(), path)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the next documents, in the order of the first pass."""
        nodes = np.arange(self.documents, self.documents + batch.num_rows, dtype=np.uint32)
        self.documents += batch.num_rows
        self._check(more=True)
        ids = pa.array(map(self.unique, batch.column("id").to_pylist()), pa.string())
        batch = batch.set_column(batch.schema.get_field_index("id"), batch.schema.field("id"), ids)
        roots = self.copies.root[nodes]
        survives = pa.array(roots == nodes)
        kept, dropped = batch.filter(survives), batch.filter(pa.array(roots != nodes))
        self.bytes += text_bytes(batch)
        self.bytes_kept += text_bytes(kept)
        self.documents_kept += kept.num_rows
        kind = self.copies.kinds(nodes)
        reasons = [_REASONS[name] for name in kind.drop_null().to_pylist()]
        self.dropped.update(reasons)
        self.files["kept"].write(kept)
        schema = self.files["dropped"].schema
        columns = [dropped.column(name) for name in schema.names[:-1]]
        columns.append(pa.array(reasons, pa.string()))
        self.files["dropped"].write(pa.RecordBatch.from_arrays(columns, schema=schema))
        self._write_clusters(ids, roots, nodes, kind)

    def summary(self) -> dict[str, Any]:
        """Figures of all that was written."""
        sizes = self.copies.size[self.copies.size > 1]
        return {
            "documents_in": self.documents,
            "documents_kept": self.documents_kept,
            "dropped": dict(sorted(self.dropped.items())),
            "bytes_in": self.bytes,
            "bytes_kept": self.bytes_kept,
            "bytes_dropped": self.bytes - self.bytes_kept,
            "clusters": len(sizes),
            "largest_cluster": int(sizes.max(initial=0)),
            "ids_renamed": self.unique.renamed,
        }

    def _write_clusters(
        self, ids: pa.Array, roots: NDArray[np.uint32], nodes: NDArray[np.uint32], kind: pa.Array
    ) -> None:
        rows = np.flatnonzero(self.copies.size[roots] > 1)
        for row in rows:
            # The survivor is the first of its cluster to come.
            self.names.setdefault(int(roots[row]), ids[row].as_py())
        names = [self.names[root] for root in roots[rows].tolist()]
        take = pa.array(rows)
        columns = [
            pa.array(names, pa.string()),
            ids.take(take),
            pa.array(roots[rows] == nodes[rows]),
            pa.array(self.copies.size[roots[rows]], pa.uint32()),
            kind.take(take),
        ]
        self.files["clusters"].write(pa.RecordBatch.from_arrays(columns, schema=CLUSTER_SCHEMA))

    def _check(self, more: bool = False) -> None:
        total = len(self.copies.root)
        if self.documents > total or (self.documents < total and not more):
            raise TableError(
                "the inputs have changed while they were read: start again once they are still"
            )
