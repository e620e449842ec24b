"""``clean``: measured text with every decision applied, and without any benchmark item.

The only stage that writes text again. Rank k reads measured shard k beside its decisions; a shard
whose decisions and text are those of the last publication is not written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tagarela_dagster.corpus.booking import book
from tagarela_dagster.corpus.decontamination.report import (
    CONTAMINATION_SCHEMA,
    contamination_rows,
)
from tagarela_dagster.corpus.dedup.cuts_apply import Cuts
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, DROPPED_SCHEMA
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.shards import ShardWriter, read_batches
from tagarela_dagster.corpus.stage import (
    Kernel,
    Outcome,
    ShardStage,
    Written,
    run_stage,
)
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest


class CleanStage(ShardStage):
    """Write the documents of measured shard ``rank`` that are kept."""

    name = "clean"

    def __init__(
        self,
        writer: PartitionWriter,
        shards: Sequence[ShardInput],
        make_kernel: Callable[[], Kernel],
        shared: Mapping[str, str],
        cuts: Sequence[Path] = (),
    ) -> None:
        of_cuts = [replace(s, hashes=(*s.hashes, *Cuts(cuts, s.name).hashes)) for s in shards]
        super().__init__(writer, of_cuts, shared)
        self.make_kernel = make_kernel
        self.cuts = list(cuts)

    def work(self, shard: ShardInput, ledger: Ledger) -> tuple[Written, dict[str, Any]]:
        """Write ``kept/NAME.parquet``, ``dropped/NAME.parquet`` with their text, and the matches
        with benchmark items, ``contamination/NAME.parquet``."""
        kernel = self.make_kernel()
        cuts = Cuts(self.cuts, shard.name)
        folder = self.staging / "data"
        with (
            ShardWriter(folder / "kept", shard.name, DOCUMENT_SCHEMA) as kept,
            ShardWriter(folder / "dropped", shard.name, DROPPED_SCHEMA) as dropped,
            ShardWriter(folder / "contamination", shard.name, CONTAMINATION_SCHEMA) as found,
        ):
            for rows, batch in surviving(*shard.paths):
                cut = cuts.apply(batch, rows)
                outcome = kernel(cut.documents)
                write_outcome(batch, cut.judge(outcome), ledger, kept, dropped)
                found.write(contamination_rows(cut.documents, outcome))
        writers = {"kept": kept, "dropped": dropped, "contamination": found}
        return {name: writer.written for name, writer in writers.items()}, {}


def surviving(
    measured: Path, decisions: Path
) -> Iterator[tuple[NDArray[np.int64], pa.RecordBatch]]:
    """Documents of a measured shard that its decisions keep, DOCUMENT_SCHEMA, and their rows."""
    reasons = pq.read_table(decisions, columns=["reason"]).column("reason").combine_chunks()
    row = 0
    for batch in read_batches(measured, DOCUMENT_SCHEMA.names):
        kept = pc.is_null(reasons.slice(row, batch.num_rows))
        yield row + np.flatnonzero(kept), batch.filter(kept)
        row += batch.num_rows


def write_outcome(
    batch: pa.RecordBatch,
    outcome: Outcome,
    ledger: Ledger,
    kept_writer: ShardWriter,
    dropped_writer: ShardWriter,
) -> None:
    """Write and account for a batch. A dropped document has the text it came in with."""
    is_kept = pc.is_null(outcome.reasons)
    is_dropped = pc.invert(is_kept)
    kept = outcome.documents.filter(is_kept)
    dropped = outcome.documents.filter(is_dropped)
    dropped = dropped.set_column(
        dropped.schema.get_field_index("text"),
        dropped.schema.field("text"),
        batch.filter(is_dropped).column("text"),
    )
    reasons = outcome.reasons.filter(is_dropped)
    sizes = [pc.binary_length(side.column("text")) for side in (batch, outcome.documents)]
    book(ledger, batch.column("variety"), outcome.reasons, *sizes)
    for name, removed in outcome.edits.items():
        ledger.edit(name, removed)
    kept_writer.write(kept.cast(DOCUMENT_SCHEMA))
    columns = [*dropped.columns, reasons.cast(pa.string())]
    dropped_writer.write(pa.RecordBatch.from_arrays(columns, schema=DROPPED_SCHEMA))


def clean_partition(
    writer: PartitionWriter,
    shards: Sequence[ShardInput],
    make_kernel: Callable[[], Kernel],
    *,
    shared: Mapping[str, str] | None = None,
    cuts: Sequence[Path] = (),
    workers: int = 1,
) -> Manifest:
    """Write a partition's clean shards.

    Args:
        shards: measured shards, each beside its decision shard of ``deduped``.
        make_kernel: picklable factory, called once a shard.
        shared: what decides the kernel: name -> hash.
        cuts: the partition's file of ``repeats``; none when nothing is cut.
    """
    step = CleanStage(writer, shards, make_kernel, shared or {}, cuts)
    return run_stage(writer, step, workers=workers)
