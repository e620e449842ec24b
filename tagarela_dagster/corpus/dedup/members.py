"""``clusters.parquet``: every member of every cluster of two or more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagarela_dagster.corpus.dedup.resolve import Outcome
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.provenance.files import atomic_path
from tagarela_dagster.provenance.manifest import Shard

NAME = "clusters.parquet"
ROW_GROUP = 65_536
EXACT, NEAR = "exact", "near"

CLUSTER_SCHEMA = pa.schema(
    [
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("partition", pa.string(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("size", pa.uint32(), nullable=False),
        pa.field("kind", pa.string()),
    ]
)
"""Rows are in the order of partition, shard and row. ``cluster`` is the survivor's name,
``kind`` how a member duplicates another: exact, near, null for the survivor."""


def survivor_names(outcome: Outcome, scratch: Scratch) -> pa.LargeStringArray:
    """(groups,) name of each group's survivor: ``ID@SNAPSHOT``.

    Where two files of a snapshot give two survivors the same id, the later ones end in "+".
    """
    order = np.argsort(outcome.first)
    firsts = outcome.first[order]
    members = outcome.members

    def pieces() -> Iterator[pa.Array]:
        bounds = np.searchsorted(firsts, members.bounds)
        for place, part in enumerate(members.parts):
            ids = members.ids.take(pa.array(firsts[bounds[place] : bounds[place + 1]]))
            suffix = pa.scalar(f"@{part.snapshot}", ids.type)
            names = pc.binary_join_element_wise(ids, suffix, pa.scalar("", ids.type))
            yield _tell_apart(names)

    in_order = scratch.texts(pieces())
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return scratch.texts(
        in_order.take(pa.array(place[start : start + ROW_GROUP]))
        for start in range(0, len(place), ROW_GROUP)
    )


def _tell_apart(names: pa.Array) -> pa.Array:
    if pc.count_distinct(names).as_py() == len(names):
        return names
    seen: set[str] = set()
    distinct = []
    for name in names.to_pylist():
        while name in seen:
            name += "+"
        seen.add(name)
        distinct.append(name)
    return pa.array(distinct, names.type)


def write_members(data: Path, outcome: Outcome, names: pa.LargeStringArray) -> Shard:
    """Write ``clusters.parquet``."""
    members, groups = outcome.members, outcome.groups
    sizes = np.bincount(groups.of, minlength=groups.count).astype(np.uint32)
    partitions = pa.array([part.name for part in members.parts], pa.string())
    kept = outcome.kept
    with (
        atomic_path(data / NAME) as path,
        pq.ParquetWriter(path, CLUSTER_SCHEMA, compression="zstd") as out,
    ):
        for start in range(0, len(groups.of), ROW_GROUP):
            rows = slice(start, min(len(groups.of), start + ROW_GROUP))
            of = groups.of[rows]
            part = np.searchsorted(members.bounds, np.arange(rows.start, rows.stop), "right") - 1
            columns = [
                names.take(pa.array(of)).cast(pa.string()),
                members.ids[rows].cast(pa.string()),
                partitions.take(pa.array(part)),
                pa.array(kept[rows]),
                pa.array(sizes[of]),
                pc.if_else(
                    pa.array(kept[rows]),
                    pa.scalar(None, pa.string()),
                    pc.if_else(pa.array(outcome.exact[rows]), EXACT, NEAR),
                ),
            ]
            out.write_table(pa.Table.from_arrays(columns, schema=CLUSTER_SCHEMA), ROW_GROUP)
    return Shard.of(data, NAME, len(groups.of))
