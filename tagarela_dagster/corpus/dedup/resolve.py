"""Which documents are duplicates of which: joins over signatures, one band at a time.

Only hashes are read, never text. Documents are joined when their texts are equal, or when all
values of a band are (compared by their 64-bit hash: among 10**9 documents, a band has about .03
false pairs). Memory: 13 bytes for every document of the whole corpus, and one band's table (about
40 bytes for each of its documents while it is sorted). Spilling that table to disk is not done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.components import Nodes, equal_runs, new_forest, unite
from tagarela_dagster.corpus.dedup.signatures import band_name, check_signatures
from tagarela_dagster.recipe.dedup import Dedup


@dataclass(frozen=True)
class Group:
    """Signature shards whose documents stand together in the order of survival.

    Attributes:
        name: partition or input.
        by_id: within the group, the lower id survives; else the earlier row.
    """

    name: str
    paths: tuple[Path, ...]
    by_id: bool = True


@dataclass(frozen=True)
class Resolution:
    """Clusters over all groups. A node is a document's place in the order of survival.

    Attributes:
        nodes: for each group, (rows,) node of each row of its shards, shard after shard.
        root: (documents,) node of each node's survivor: its own when it survives.
        size: (documents,) how many documents the cluster of a root has; 0 for the others.
        exact: (documents,) True for a text that an earlier node has as well.
    """

    nodes: list[Nodes]
    root: Nodes
    size: NDArray[np.uint32]
    exact: NDArray[np.bool_]


def resolve(groups: Sequence[Group], section: Dedup) -> Resolution:
    """Cluster the documents of all groups; of each cluster the least node survives.

    Raises:
        SignatureError: a shard was signed with other settings.
    """
    nodes = _number(groups, section)
    total = sum(map(len, nodes))
    root = new_forest(total)
    exact = np.zeros(total, np.bool_)
    if section.enabled and section.exact:
        values, of = _column(groups, nodes, "exact")
        later, least = equal_runs((values[:, 0].copy(), values[:, 1].copy()), of)
        exact[later] = True
        unite(root, later, least)
    for band in range(section.minhash.bands if section.enabled else 0):
        values, of = _column(groups, nodes, band_name(band))
        unite(root, *equal_runs((values,), of))
    size = np.bincount(root, minlength=total).astype(np.uint32)
    return Resolution(nodes, root, size, exact)


def read_ids(group: Group) -> pa.ChunkedArray:
    """Ids of a group's documents, row by row."""
    chunks = [pq.read_table(path, columns=["id"]).column("id") for path in group.paths]
    return pa.chunked_array([c for chunk in chunks for c in chunk.chunks], pa.string())


def _number(groups: Sequence[Group], section: Dedup) -> list[Nodes]:
    numbered: list[Nodes] = []
    start = 0
    for group in groups:
        rows = sum(check_signatures(path, section.minhash) for path in group.paths)
        places = np.arange(rows, dtype=np.int64)
        if group.by_id:
            # Equal ids (of two files of one snapshot) stay in the order of their rows.
            order = pc.sort_indices(
                pa.table({"id": read_ids(group), "row": places}),
                [("id", "ascending"), ("row", "ascending")],
            ).to_numpy()
            places[order] = np.arange(rows)
        numbered.append((places + start).astype(np.uint32))
        start += rows
    return numbered


def _column(
    groups: Sequence[Group], nodes: Sequence[Nodes], name: str
) -> tuple[NDArray[np.uint64], Nodes]:
    """Values of a column where there are any, as 64-bit words, and their nodes."""
    values: list[NDArray[np.uint64]] = [np.empty((0, 2) if name == "exact" else 0, np.uint64)]
    of: list[Nodes] = [np.empty(0, np.uint32)]
    for group, numbers in zip(groups, nodes, strict=True):
        start = 0
        for chunk in _chunks(group, name):
            here = numbers[start : start + len(chunk)]
            start += len(chunk)
            if chunk.null_count:
                here = here[chunk.is_valid().to_numpy(zero_copy_only=False)]
                chunk = chunk.drop_null()
            of.append(here)
            values.append(_words(chunk))
    return np.concatenate(values), np.concatenate(of)


def _chunks(group: Group, name: str) -> Iterator[pa.Array]:
    for path in group.paths:
        yield from pq.read_table(path, columns=[name]).column(name).chunks


def _words(chunk: pa.Array) -> NDArray[np.uint64]:
    """Hashes as 64-bit words: (rows,), or (rows, 2) for 16 bytes."""
    if pa.types.is_uint64(chunk.type):
        return np.asarray(chunk.to_numpy())
    data = np.frombuffer(chunk.buffers()[1], np.uint64)
    return data.reshape(-1, 2)[chunk.offset : chunk.offset + len(chunk)]
