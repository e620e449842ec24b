"""Keep-lists: what each partition drops as a duplicate, by shard and row.

``clusters`` writes them, ``deduped`` lays them over the decisions of ``filtered``. A partition
depends on its own list alone, so a refresh leaves the partitions as they are whose list has not
changed; the size of a cluster, which grows with every later copy, is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagarela_dagster.corpus.dedup.components import Part
from tagarela_dagster.corpus.dedup.resolve import Outcome
from tagarela_dagster.corpus.shards import write_row_groups
from tagarela_dagster.provenance.alignment import AlignmentError
from tagarela_dagster.provenance.manifest import Shard

ROW_GROUP = 65_536
EXACT_DUPLICATE, NEAR_DUPLICATE = "exact_duplicate", "near_duplicate"
OLDER_CAPTURE = "older_capture"
_AGAIN = "materialize clusters again"

Column: TypeAlias = pa.Array | pa.ChunkedArray

DROP_SCHEMA = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("duplicate_of", pa.string(), nullable=False),
    ]
)
"""What a partition drops, in the order of shards and rows: why, and the name (``ID@SNAPSHOT``) of
the document that stays."""


def write_keep_list(
    data: Path, place: int, part: Part, drops: Sequence[tuple[Outcome, pa.Array]]
) -> list[Shard]:
    """Write ``keep/PARTITION.parquet``, unless the partition keeps everything.

    Args:
        place: of the partition among all.
        drops: what was decided, clusters and then captures, with the names of the survivors.
    """
    row_groups = _row_groups(place, part, drops)
    return write_row_groups(data, f"keep/{part.name}.parquet", DROP_SCHEMA, row_groups)


def _row_groups(
    place: int, part: Part, drops: Sequence[tuple[Outcome, pa.Array]]
) -> Iterator[pa.Table]:
    """Drops of whole shards, ROW_GROUP or a little more at a time."""
    streams = [_by_shard(place, part, *drop) for drop in drops]
    tables: list[pa.Table] = []
    for _, found in groupby(merge(*streams, key=_NUMBER), key=_NUMBER):
        tables.append(pa.concat_tables(table for _, table in found).sort_by("row"))
        if sum(map(len, tables)) >= ROW_GROUP:
            yield pa.concat_tables(tables).combine_chunks()
            tables = []
    if tables:
        yield pa.concat_tables(tables).combine_chunks()


def _by_shard(
    place: int, part: Part, outcome: Outcome, names: pa.Array
) -> Iterator[tuple[int, pa.Table]]:
    """Number and drops of each shard that loses documents."""
    for number, first, last, rows in outcome.members.shards(place):
        take = np.flatnonzero(~outcome.kept[first:last])
        if not len(take):
            continue
        members = take + first
        if outcome.is_captures:
            reasons = pa.array([OLDER_CAPTURE] * len(take), pa.string())
        else:
            reasons = pc.if_else(outcome.exact[members], EXACT_DUPLICATE, NEAR_DUPLICATE)
        columns = [
            pa.array([part.index.shards[number][0]] * len(take), pa.string()),
            pa.array(rows[take].astype(np.int32)),
            outcome.members.ids.take(pa.array(members)).cast(pa.string()),
            reasons,
            names.take(pa.array(outcome.groups.of[members])).cast(pa.string()),
        ]
        yield number, pa.Table.from_arrays(columns, schema=DROP_SCHEMA)


_NUMBER = itemgetter(0)


def read_drops(keep_list: Sequence[Path], shard: str) -> pa.Table:
    """Rows of DROP_SCHEMA of one shard.

    Args:
        keep_list: the partition's ``keep/PARTITION.parquet``; none when all is kept.
    """
    tables = [pq.read_table(path, filters=[("shard", "=", shard)]) for path in keep_list]
    return pa.concat_tables([DROP_SCHEMA.empty_table(), *tables]).combine_chunks()


def apply(reasons: Column, ids: Column, drops: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Lay the drops of a shard over its decisions.

    Args:
        reasons: (rows,) why each document was dropped before, null where it was kept.
        ids: (rows,) their ids.
        drops: of ``read_drops``.

    Returns:
        (rows,) reasons and (rows,) which document each duplicate repeats.

    Raises:
        AlignmentError: the drops are of other documents, or of documents dropped before.
    """
    reasons, ids = _whole(reasons), _whole(ids)
    places = pa.nulls(len(reasons), pa.int32())
    rows = drops.column("row").to_numpy()
    if len(rows):
        if rows.max() >= len(reasons):
            raise AlignmentError(f"row {rows.max()} is dropped of {len(reasons)}: {_AGAIN}")
        take = pa.array(rows)
        if not ids.take(take).cast(pa.string()).equals(_whole(drops.column("id"))):
            raise AlignmentError(f"the keep-list has other ids than the shard: {_AGAIN}")
        if reasons.take(take).null_count < len(rows):
            raise AlignmentError(f"the keep-list drops what was dropped before: {_AGAIN}")
        index = np.full(len(reasons), -1, np.int32)
        index[rows] = np.arange(len(rows))
        places = pa.array(index, mask=index < 0)
    more = _whole(drops.column("reason")).take(places)
    return pc.coalesce(reasons, more), _whole(drops.column("duplicate_of")).take(places)


def _whole(column: Column) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
