"""Clusters of duplicates over all partitions, and what each partition must drop.

Order of survival: lower source rank, then source name, then earlier snapshot, then lower id (then
document shard and row, for an id that two files of a snapshot share). It is total, and an earlier
snapshot wins so that a refresh drops documents of the new snapshot and leaves the old partitions
as they are. The result depends on nothing else: any order of arrival and any number of workers
give the same bytes. docs/formats.md describes the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.components import Nodes
from tagarela_dagster.corpus.dedup.resolve import Group, Resolution, read_ids, resolve
from tagarela_dagster.provenance.files import atomic_path
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.dedup import Dedup

NAME = "clusters.parquet"
ROW_GROUP = 65_536
EXACT, NEAR = "exact", "near"
REASONS = {EXACT: "exact_duplicate", NEAR: "near_duplicate"}
LARGEST = 10
"""Clusters named in the counts."""

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
"""Every member of every cluster of two or more."""

DROP_SCHEMA = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("duplicate_of", pa.string(), nullable=False),
    ]
)
"""What a partition drops: document shard, id, reason and the cluster's name."""


def cluster_partitions(
    writer: PartitionWriter,
    signed: Mapping[str, Sequence[Path]],
    section: Dedup,
    ranks: Mapping[str, int],
) -> Manifest:
    """Write ``clusters.parquet`` and, for a partition with duplicates, ``keep/PARTITION.parquet``.

    Args:
        signed: partition ("source@snapshot") -> its signature shards.
        ranks: source -> rank; of two duplicates the one of lower rank survives.

    Raises:
        SignatureError: a partition was signed with other settings.
    """
    groups = [
        Group(partition, tuple(sorted(signed[partition])))
        for partition in sorted(signed, key=lambda p: _order(p, ranks))
    ]
    resolution = resolve(groups, section)
    names: list[str] = []
    drops: list[Shard] = []
    with (
        atomic_path(writer.data / NAME) as path,
        pq.ParquetWriter(path, CLUSTER_SCHEMA, compression="zstd") as out,
    ):
        for group, nodes in zip(groups, resolution.nodes, strict=True):
            members = _members(group, nodes, resolution, names)
            out.write_batch(members.select(CLUSTER_SCHEMA.names).cast(CLUSTER_SCHEMA), ROW_GROUP)
            drops += _write_drops(writer.data, group.name, members)
    rows = int((resolution.size[resolution.root] > 1).sum())
    return writer.publish(
        [Shard.of(writer.data, NAME, rows), *drops], count_clusters(resolution, names)
    )


def count_clusters(resolution: Resolution, names: Sequence[str]) -> dict[str, Any]:
    """Figures of a resolution; ``names`` are those of its clusters, in order of their roots."""
    roots = np.flatnonzero(resolution.size > 1)
    sizes = resolution.size[roots]
    top = np.lexsort((roots, -sizes.astype(np.int64)))[:LARGEST]
    dropped = resolution.root != np.arange(len(resolution.root), dtype=np.uint32)
    exact = int((dropped & resolution.exact).sum())
    return {
        "documents": len(resolution.root),
        "clusters": len(roots),
        "exact_duplicates": exact,
        "near_duplicates": int(dropped.sum()) - exact,
        "largest_cluster": int(sizes.max(initial=0)),
        "largest": [{"cluster": names[i], "size": int(sizes[i])} for i in top],
    }


def kinds(resolution: Resolution, nodes: NDArray[Any]) -> pa.Array:
    """How each node duplicates another: ``exact``, ``near``, null for a survivor."""
    kind = pa.array(np.where(resolution.exact[nodes], EXACT, NEAR), pa.string())
    survives = pa.array(resolution.root[nodes] == nodes)
    return pc.if_else(survives, pa.scalar(None, pa.string()), kind)


def _order(partition: str, ranks: Mapping[str, int]) -> tuple[int, str, str]:
    source, _, snapshot = partition.partition("@")
    return ranks[source], source, snapshot


def _members(
    group: Group, nodes: Nodes, resolution: Resolution, names: list[str]
) -> pa.RecordBatch:
    """A group's members of clusters, in order of survival; ``names`` grows by its survivors'."""
    rows = np.flatnonzero(resolution.size[resolution.root[nodes]] > 1)
    rows = rows[np.argsort(nodes[rows])]
    of, roots = nodes[rows], resolution.root[nodes[rows]]
    ids = read_ids(group).take(pa.array(rows)).combine_chunks()
    snapshot = group.name.partition("@")[2]
    before = None
    for survivor in ids.filter(pa.array(roots == of)).to_pylist():
        # An id that two files of the snapshot share names two clusters: neighbours in this order.
        names.append(f"{names[-1]}+" if survivor == before else f"{survivor}@{snapshot}")
        before = survivor
    places = np.searchsorted(np.flatnonzero(resolution.size > 1), roots)
    ends = np.cumsum([pq.read_metadata(path).num_rows for path in group.paths])
    shards = np.searchsorted(ends, rows, side="right")
    columns = {
        "cluster": pa.array([names[place] for place in places], pa.string()),
        "id": ids,
        "partition": pa.array([group.name] * len(rows), pa.string()),
        "kept": pa.array(roots == of),
        "size": pa.array(resolution.size[roots], pa.uint32()),
        "kind": kinds(resolution, of),
        "shard": pa.array([group.paths[shard].stem for shard in shards], pa.string()),
    }
    return pa.RecordBatch.from_pydict(columns)


def _write_drops(data: Path, partition: str, members: pa.RecordBatch) -> list[Shard]:
    """``keep/PARTITION.parquet``, unless the partition keeps everything."""
    dropped = members.filter(pc.invert(members.column("kept")))
    if not dropped.num_rows:
        return []
    reasons = pa.array([REASONS[kind] for kind in dropped.column("kind").to_pylist()], pa.string())
    columns = [dropped.column("shard"), dropped.column("id"), reasons, dropped.column("cluster")]
    name = f"keep/{partition}.parquet"
    with atomic_path(data / name) as path:
        table = pa.Table.from_arrays(columns, schema=DROP_SCHEMA)
        pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP)
    return [Shard.of(data, name, dropped.num_rows)]
