"""The first stage: read the raw files of a snapshot into document shards.

One rank reads one unit. Records that are bad input go to ``quarantine/RANK.jsonl`` with file,
offset and reason, and are booked as ``quarantined_<reason>``; sound records that the source's
rules leave out are booked under their reason alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO, Any

import pyarrow as pa
from datatrove.pipeline.base import PipelineStep

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document, Rejected
from tagarela_dagster.corpus.engines.run import run_ranks
from tagarela_dagster.corpus.ledger import QUARANTINE_PREFIX, Ledger
from tagarela_dagster.corpus.shards import ShardWriter
from tagarela_dagster.corpus.sources.registry import reader
from tagarela_dagster.corpus.sources.unit import Unit
from tagarela_dagster.corpus.stage import (
    part_path,
    publish_parts,
    reuse_parts,
    split_partition,
    sum_counts,
    write_part,
)
from tagarela_dagster.corpus.tombstones import REASON, Tombstones
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import fingerprint
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.sources import Source

BATCH_BYTES = 4_000_000
BATCH_ROWS = 512
EXCERPT_CHARACTERS = 200


class ReadStage(PipelineStep):
    """Read unit ``rank`` of a snapshot."""

    type = "Tagarela"
    name = "read"

    def __init__(
        self,
        writer: PartitionWriter,
        units: Sequence[Unit],
        source: Source,
        shard_bytes: int,
        max_document_bytes: int,
        tombstones: Tombstones,
    ) -> None:
        super().__init__()
        assert writer.partition is not None
        self.stage = writer.asset
        self.partition = writer.partition
        self.staging = writer.staging
        self.units = list(units)
        self.source = source
        self.shard_bytes = shard_bytes
        self.max_document_bytes = max_document_bytes
        self.tombstones = tombstones
        settings = [writer.code_version, writer.inputs]
        self.keys = [fingerprint([*settings, unit.name, unit.part]) for unit in units]

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        """Write ``kept/RANK-NNN.parquet``, ``quarantine/RANK.jsonl`` and ``parts/RANK.json``."""
        if part_path(self.staging, rank).exists():
            return data
        name, snapshot = split_partition(self.partition)
        ledger = Ledger(self.stage, name, snapshot)
        unit = self.units[rank]
        records = reader(self.source.reader).read(unit, self.source)
        folder = self.staging / "data"
        kept = ShardWriter(folder / "kept", f"{rank:05d}", DOCUMENT_SCHEMA, self.shard_bytes)
        with kept, _quarantine(self.staging, rank) as quarantine:
            for rows in _batches(self._sound(records, unit, ledger, quarantine, name, snapshot)):
                kept.write(pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA))
            rejected = quarantine.tell() > 0
        written: dict[str, list[tuple[str, int]]] = {"kept": kept.written}
        path = self.staging / "quarantine" / f"{rank:05d}.jsonl"
        if rejected:
            (folder / "quarantine").mkdir(parents=True, exist_ok=True)
            path.replace(folder / "quarantine" / path.name)
            written["quarantine"] = [(path.name, ledger.quarantined)]
        write_part(self.staging, rank, ledger, written, key=self.keys[rank])
        return data

    def _sound(
        self,
        records: Iterator[Document | Rejected],
        unit: Unit,
        ledger: Ledger,
        quarantine: IO[str],
        source: str,
        snapshot: str,
    ) -> Iterator[tuple[dict[str, Any], int]]:
        """Book every record; yield the rows of sound documents with their bytes of text."""
        seen: set[str] = set()
        for record in records:
            item = (
                self._inspect(record, unit, source, snapshot, seen)
                if isinstance(record, Document)
                else record
            )
            if isinstance(item, tuple):
                _book(ledger, item[0]["variety"], item[1])
                yield item
                continue
            prefix = QUARANTINE_PREFIX if item.quarantined else ""
            _book(ledger, self.source.variety, item.bytes, prefix + item.reason)
            if item.quarantined:
                quarantine.write(json.dumps(asdict(item), ensure_ascii=False) + "\n")

    def _inspect(
        self, document: Document, unit: Unit, source: str, snapshot: str, seen: set[str]
    ) -> tuple[dict[str, Any], int] | Rejected:
        def rejected(reason: str, detail: str, size: int, quarantined: bool = True) -> Rejected:
            excerpt = document.text[:EXCERPT_CHARACTERS].encode("utf-8", "replace").decode()
            return Rejected(
                unit.name, document.native_id, reason, detail, size, quarantined, excerpt
            )

        try:
            size = len(document.text.encode())
        except UnicodeEncodeError as error:
            return rejected("encoding", f"the text holds no valid Unicode: {error.reason}", 0)
        if not document.text.strip():
            return rejected("empty", "the record has no text", size, quarantined=False)
        if size > self.max_document_bytes:
            limit = f"{self.max_document_bytes / 1e6:g} MB"
            return rejected("too_large", f"more than corpus.max_document_megabytes ({limit})", size)
        if document.license is None:
            document.license = self.source.license
        if document.variety is None:
            document.variety = self.source.variety
        row = document.row(source, snapshot)
        if self.tombstones and self.tombstones.match(row):
            return rejected(REASON, "", size, quarantined=False)
        if row["id"] in seen:
            return rejected("duplicate_id", "another record of this file has the same id", size)
        seen.add(row["id"])
        return row, size


def read_partition(
    writer: PartitionWriter,
    units: Sequence[Unit],
    source: Source,
    *,
    shard_bytes: int,
    max_document_bytes: int,
    tombstones: Tombstones | None = None,
    workers: int = 1,
) -> Manifest:
    """Read every unit of a snapshot and publish the partition's document shards.

    Args:
        tombstones: what must not be read again.
    """
    step = ReadStage(
        writer, units, source, shard_bytes, max_document_bytes, tombstones or Tombstones()
    )
    raw_bytes = sum(
        unit.part[1] - unit.part[0] if unit.part else sum(f.bytes for f in unit.files)
        for unit in units
    )
    reuse_parts(writer, step.keys)
    run_ranks(step, len(units), workers, writer.staging / "executor", raw_bytes)
    counts = {"units": len(units), "raw_bytes": raw_bytes}
    return publish_parts(writer, len(units), lambda parts: {**sum_counts(parts), **counts})


def _book(ledger: Ledger, variety: str | None, size: int, reason: str | None = None) -> None:
    """Book one record: a document, or why it gave none."""
    for account in (ledger, ledger.of_variety(variety)):
        account.documents_in += 1
        account.bytes_in += size
        if reason is None:
            account.documents_kept += 1
            account.bytes_kept += size
        else:
            account.drop(reason, 1, size)


@contextmanager
def _quarantine(staging: Any, rank: int) -> Iterator[IO[str]]:
    with atomic_write(staging / "quarantine" / f"{rank:05d}.jsonl") as file:
        yield file


def _batches(rows: Iterator[tuple[dict[str, Any], int]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for row, bytes_of_text in rows:
        batch.append(row)
        size += bytes_of_text
        if size >= BATCH_BYTES or len(batch) >= BATCH_ROWS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
