"""Stage: map the document shards of one partition to new ones with a columnar kernel.

A stage is a datatrove ``PipelineStep`` that handles its own shards by rank (rank k reads input
shard k), so datatrove's executors run it on local processes, Slurm or Ray unchanged. A rank that
finished leaves its shards, its account and datatrove's completion mark in the staging folder: a
run that is killed and started again does only the ranks that are missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datatrove.pipeline.base import PipelineStep

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, DROPPED_SCHEMA
from tagarela_dagster.corpus.executor import bytes_on_disk, run_ranks
from tagarela_dagster.corpus.ledger import Ledger, total
from tagarela_dagster.corpus.shards import ShardWriter, read_batches, text_bytes
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard

LEDGER_NAME = "ledger.json"
SHARD_KEY = b"shard"
"""Schema metadata of the batches that a kernel is given: name of the shard, without its suffix."""


@dataclass(frozen=True)
class Outcome:
    """What a kernel decides for a batch.

    Attributes:
        documents: same rows in the same order, DOCUMENT_SCHEMA, text and signals as changed.
        reasons: (rows,) string; null keeps the document, else the reason it is dropped for.
        edits: edit name -> bytes of text removed from documents that are kept.
    """

    documents: pa.RecordBatch
    reasons: pa.Array
    edits: Mapping[str, int]


Kernel = Callable[[pa.RecordBatch], Outcome]


class ShardStage(PipelineStep):
    """A step whose rank k handles input shard k of one partition.

    Keeps of the writer what a worker process needs: names and folders, not the lease.
    """

    type = "Tagarela"

    def __init__(self, writer: PartitionWriter, shards: Sequence[Path]) -> None:
        super().__init__()
        assert writer.partition is not None
        self.stage = writer.asset
        self.partition = writer.partition
        self.staging = writer.staging
        self.shards = list(shards)

    def new_ledger(self) -> Ledger:
        """Empty account of a shard of this partition."""
        return Ledger(self.stage, *split_partition(self.partition))


class KernelStage(ShardStage):
    """Run a kernel over input shard ``rank``."""

    name = "kernel"

    def __init__(
        self, writer: PartitionWriter, shards: Sequence[Path], make_kernel: Callable[[], Kernel]
    ) -> None:
        super().__init__(writer, shards)
        self.make_kernel = make_kernel

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        """Write ``kept/RANK.parquet``, ``dropped/RANK.parquet`` and ``parts/RANK.json``."""
        kernel = self.make_kernel()
        ledger = self.new_ledger()
        name = f"{rank:05d}"
        folder = self.staging / "data"
        with (
            ShardWriter(folder / "kept", name, DOCUMENT_SCHEMA) as kept,
            ShardWriter(folder / "dropped", name, DROPPED_SCHEMA) as dropped,
        ):
            shard = {SHARD_KEY: self.shards[rank].stem}
            for batch in read_batches(self.shards[rank]):
                batch = batch.replace_schema_metadata(shard)
                _book(batch, kernel(batch), ledger, kept, dropped)
        write_part(self.staging, rank, ledger, {"kept": kept.written, "dropped": dropped.written})
        return data


def run_stage(
    writer: PartitionWriter,
    shards: Sequence[Path],
    make_kernel: Callable[[], Kernel],
    *,
    workers: int = 1,
    counts: Mapping[str, Any] | None = None,
) -> Manifest:
    """Map ``shards`` (the input's kept shards) with a kernel and publish the partition.

    Args:
        make_kernel: picklable factory, called once in every worker process and rank.
        counts: more counts for the manifest.

    Raises:
        LedgerError: a shard does not balance (a bug in the kernel); nothing is published.
    """
    step = KernelStage(writer, shards, make_kernel)
    run_ranks(step, len(shards), workers, writer.staging / "executor", bytes_on_disk(shards))
    return publish_parts(writer, len(shards), counts or {})


def split_partition(partition: str) -> tuple[str, str]:
    """Source and snapshot of a partition key ``source@snapshot``."""
    source, _, snapshot = partition.partition("@")
    return source, snapshot


def write_part(
    staging: Path, rank: int, ledger: Ledger, written: Mapping[str, Iterable[tuple[str, int]]]
) -> None:
    """Record what a rank wrote: its account and its shards (kind -> [(file, rows)])."""
    ledger.check()
    part = {
        "ledger": ledger.as_json(),
        "shards": [
            [f"{kind}/{name}", rows] for kind, files in written.items() for name, rows in files
        ],
    }
    with atomic_write(staging / "parts" / f"{rank:05d}.json") as file:
        json.dump(part, file)


def publish_parts(writer: PartitionWriter, ranks: int, counts: Mapping[str, Any]) -> Manifest:
    """Sum the ranks' accounts, write ``ledger.json`` and publish the partition."""
    parts = [
        json.loads((writer.staging / "parts" / f"{rank:05d}.json").read_text(encoding="utf-8"))
        for rank in range(ranks)
    ]
    source, snapshot = split_partition(writer.partition or "")
    ledgers = [Ledger.from_json(part["ledger"]) for part in parts]
    whole = total(writer.asset, source, snapshot, ledgers)
    with atomic_write(writer.data / LEDGER_NAME) as file:
        shards_json = [ledger.as_json() for ledger in ledgers]
        json.dump({"total": whole.as_json(), "shards": shards_json}, file, ensure_ascii=False)
    shards = [Shard.of(writer.data, path, rows) for part in parts for path, rows in part["shards"]]
    shards.append(Shard.of(writer.data, LEDGER_NAME, 0))
    return writer.publish(shards, {"ledger": whole.as_json(), **counts})


def _book(
    batch: pa.RecordBatch,
    outcome: Outcome,
    ledger: Ledger,
    kept_writer: ShardWriter,
    dropped_writer: ShardWriter,
) -> None:
    is_kept = pc.is_null(outcome.reasons)
    is_dropped = pc.invert(is_kept)
    kept = outcome.documents.filter(is_kept)
    dropped = outcome.documents.filter(is_dropped)
    # A dropped document is kept aside with the text it came in with.
    dropped = dropped.set_column(
        dropped.schema.get_field_index("text"),
        dropped.schema.field("text"),
        batch.filter(is_dropped).column("text"),
    )
    reasons = outcome.reasons.filter(is_dropped)
    ledger.documents_in += batch.num_rows
    ledger.bytes_in += text_bytes(batch)
    ledger.documents_kept += kept.num_rows
    ledger.bytes_kept += text_bytes(kept)
    for reason in pc.unique(reasons).to_pylist():
        rows = dropped.filter(pc.equal(reasons, reason))
        ledger.drop(reason, rows.num_rows, text_bytes(rows))
    for name, removed in outcome.edits.items():
        ledger.edit(name, removed)
    kept_writer.write(kept.cast(DOCUMENT_SCHEMA))
    columns = [*dropped.columns, reasons.cast(pa.string())]
    dropped_writer.write(pa.RecordBatch.from_arrays(columns, schema=DROPPED_SCHEMA))
