"""``deduped``: the decisions of ``filtered`` with the keep-list of ``clusters`` laid over them.

No text is read. A kept document's row is left as it is: its cluster's size is in
``clusters.parquet``, because it grows with every later snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagarela_dagster.corpus.booking import book
from tagarela_dagster.corpus.dedup.keep import apply, read_drops
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.shards import ShardWriter
from tagarela_dagster.corpus.stage import (
    DECISION_SCHEMA,
    ShardStage,
    Written,
    run_stage,
)
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest


class DedupStage(ShardStage):
    """Lay the keep-list over decision shard ``rank``."""

    name = "dedup"

    def __init__(
        self, writer: PartitionWriter, shards: Sequence[ShardInput], keep_list: Sequence[Path]
    ) -> None:
        shared = {name: of for name, of in writer.inputs.items() if name.startswith("clusters")}
        super().__init__(writer, shards, shared)
        self.keep_list = list(keep_list)

    def work(self, shard: ShardInput, ledger: Ledger) -> tuple[Written, dict[str, Any]]:
        """Write ``decisions/NAME.parquet``."""
        table = pq.read_table(shard.paths[0]).combine_chunks()
        alive = pc.is_null(table.column("reason"))
        drops = read_drops(self.keep_list, shard.name)
        reason, duplicate_of = apply(table.column("reason"), table.column("id"), drops)
        sizes, varieties = table.column("bytes"), table.column("variety")
        came = [column.filter(alive) for column in (varieties, reason, sizes, sizes)]
        book(ledger, *came)
        columns = [table.column("id"), sizes, varieties, reason, duplicate_of]
        with ShardWriter(self.staging / "data" / "decisions", shard.name, DECISION_SCHEMA) as out:
            for batch in pa.Table.from_arrays(columns, schema=DECISION_SCHEMA).to_batches():
                out.write(batch)
        return {"decisions": out.written}, {}


def dedup_partition(
    writer: PartitionWriter,
    shards: Sequence[ShardInput],
    keep_list: Sequence[Path],
    *,
    workers: int = 1,
) -> Manifest:
    """Lay a partition's keep-list over its decision shards of ``filtered``.

    Args:
        keep_list: the partition's file of ``clusters``; none when all of its documents are kept.
    """
    return run_stage(writer, DedupStage(writer, shards, keep_list), workers=workers)
