"""Stage: map the shards of one partition to new ones, rank by rank.

A stage is a datatrove ``PipelineStep`` that handles its own shards by rank (rank k reads input
shard k), so datatrove's executors run it on local processes, Slurm or Ray unchanged. A rank that
finished leaves its shards and its account in the staging folder: a run that is killed and started
again does only the ranks that are missing. A rank whose inputs and settings are those of the
partition's last publication is not run at all; its files are linked.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from datatrove.pipeline.base import PipelineStep

from tagarela_dagster.corpus.engines.run import bytes_on_disk, run_ranks
from tagarela_dagster.corpus.ledger import Ledger, total
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import fingerprint
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard, has_size, read_manifest

LEDGER_NAME = "ledger.json"

DECISION_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("variety", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("duplicate_of", pa.string()),
    ]
)
"""Rows of a decision shard, one for each row of the measured shard of the same name: UTF-8 bytes
of the text, its variety, why the document is dropped (null keeps it), and which document a
duplicate repeats."""


Written = Mapping[str, Iterable[tuple[str, int]]]
"""What a rank wrote: folder -> [(file, rows)]."""
Summarise = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]
"""From the counts of all ranks to those of the manifest."""


@dataclass(frozen=True)
class Outcome:
    """What a kernel decides for a batch.

    Attributes:
        documents: same rows in the same order, DOCUMENT_SCHEMA, text as changed.
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

    Args:
        shared: whatever else decides a shard's content: name -> hash.
    """

    type = "Tagarela"
    read_share = 1.0
    """Part of its shards' bytes that the stage reads, by which it is judged to be worth workers."""

    def __init__(
        self,
        writer: PartitionWriter,
        shards: Sequence[ShardInput],
        shared: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        assert writer.partition is not None
        self.stage = writer.asset
        self.partition = writer.partition
        self.staging = writer.staging
        self.shards = list(shards)
        settings = [writer.code_version, dict(shared or {})]
        self.keys = [fingerprint([*settings, list(shard.hashes)]) for shard in shards]

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        """Do rank ``rank``, unless it is done."""
        if not part_path(self.staging, rank).exists():
            ledger = Ledger(self.stage, *split_partition(self.partition))
            written, counts = self.work(self.shards[rank], ledger)
            write_part(self.staging, rank, ledger, written, counts, self.keys[rank])
        return data

    def work(self, shard: ShardInput, ledger: Ledger) -> tuple[Written, Mapping[str, Any]]:
        """Write a shard's outputs below ``staging / "data"`` and book its documents.

        Returns:
            What was written, and counts (JSON) of the shard.
        """
        raise NotImplementedError


def sum_counts(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Sum of each count over all ranks."""
    whole: dict[str, int] = {}
    for part in parts:
        for name, number in part.items():
            whole[name] = whole.get(name, 0) + number
    return whole


def run_stage(
    writer: PartitionWriter,
    step: ShardStage,
    *,
    workers: int = 1,
    summarise: Summarise = sum_counts,
) -> Manifest:
    """Run every rank of ``step`` that is not known yet, and publish the partition.

    Raises:
        LedgerError: a shard does not balance (a bug in the stage); nothing is published.
    """
    reuse_parts(writer, step.keys)
    ranks = range(len(step.shards))
    missing = [rank for rank in ranks if not part_path(writer.staging, rank).exists()]
    if missing:
        size = bytes_on_disk(path for rank in missing for path in step.shards[rank].paths)
        read = int(size * step.read_share)
        run_ranks(step, len(step.shards), workers, writer.staging / "executor", read)
    return publish_parts(writer, len(step.shards), summarise)


def reuse_parts(writer: PartitionWriter, keys: Sequence[str]) -> None:
    """Take over the ranks of the last publication that had the same inputs and settings.

    A rank is taken over with the hashes of its files; whether they have them still is
    ``tagarela verify``'s to find. Without a sound ledger there is no telling what to take.
    """
    previous = read_manifest(writer.folder)
    ledgers = previous.select(LEDGER_NAME) if previous else []
    if previous is None or not ledgers:
        return
    data = writer.folder / previous.data_name
    if not ledgers[0].is_sound(data):
        return
    content = json.loads((data / LEDGER_NAME).read_text(encoding="utf-8"))
    known = {part["key"]: part for part in content["parts"] if part.get("key")}
    for rank, key in enumerate(keys):
        part = known.get(key)
        if part is None or part_path(writer.staging, rank).exists():
            continue
        files = [Shard(**shard) for shard in part["shards"]]
        if any(not has_size(data / file.path, file.bytes) for file in files):
            continue
        for file in files:
            _link(data / file.path, writer.data / file.path)
        _write_json(part_path(writer.staging, rank), part)


def split_partition(partition: str) -> tuple[str, str]:
    """Source and snapshot of a partition key ``source@snapshot``."""
    source, _, snapshot = partition.partition("@")
    return source, snapshot


def part_path(staging: Path, rank: int) -> Path:
    """Where a finished rank says what it did."""
    return staging / "parts" / f"{rank:05d}.json"


def write_part(
    staging: Path,
    rank: int,
    ledger: Ledger,
    written: Written,
    counts: Mapping[str, Any] | None = None,
    key: str = "",
) -> None:
    """Record what a rank wrote: its account, its shards and its counts."""
    ledger.check()
    names = [(f"{kind}/{name}", rows) for kind, files in written.items() for name, rows in files]
    part = {
        "key": key,
        "ledger": ledger.as_json(),
        "counts": dict(counts or {}),
        "shards": [asdict(Shard.of(staging / "data", path, rows)) for path, rows in names],
    }
    _write_json(part_path(staging, rank), part)


def publish_parts(
    writer: PartitionWriter, ranks: int, summarise: Summarise = sum_counts
) -> Manifest:
    """Sum the ranks' accounts and counts, write ``ledger.json`` and publish the partition."""
    paths = (part_path(writer.staging, rank) for rank in range(ranks))
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    source, snapshot = split_partition(writer.partition or "")
    ledgers = [Ledger.from_json(part["ledger"]) for part in parts]
    whole = total(writer.asset, source, snapshot, ledgers)
    counts = summarise([part["counts"] for part in parts])
    _write_json(writer.data / LEDGER_NAME, {"total": whole.as_json(), "parts": parts})
    shards = [Shard(**shard) for part in parts for shard in part["shards"]]
    shards.append(Shard.of(writer.data, LEDGER_NAME, 0))
    return writer.publish(shards, {"ledger": whole.as_json(), **counts})


def _write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as file:
        json.dump(content, file, ensure_ascii=False)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        temporary = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, temporary)
        temporary.replace(target)
