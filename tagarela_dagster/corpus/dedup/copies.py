"""Clusters of one stream of documents, of which the earlier survives: ``tagarela dedup``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.components import NONE_DEAD, number
from tagarela_dagster.corpus.dedup.index_build import Layout, build_index
from tagarela_dagster.corpus.dedup.members import EXACT, NEAR
from tagarela_dagster.corpus.dedup.resolve import forest
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.corpus.kernels.components import Nodes, count_members
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.recipe.dedup import Dedup

MEMORY_MEGABYTES = 1_024
"""What the tables of hashes may take; more goes to disk."""


@dataclass(frozen=True)
class Copies:
    """Clusters of the inputs' rows; the earliest row of each survives.

    Attributes:
        root: (documents,) survivor of each document's cluster.
        same: (documents,) earliest document with the same text.
        size: (documents,) how many documents the cluster of a survivor has.
    """

    root: Nodes
    same: Nodes
    size: NDArray[np.uint32]

    def kinds(self, nodes: NDArray[np.uint32]) -> pa.Array:
        """How each node duplicates another: ``exact``, ``near``, null for a survivor."""
        kind = pc.if_else(pa.array(self.same[nodes] != nodes), EXACT, NEAR)
        survives = pa.array(self.root[nodes] == nodes)
        return pc.if_else(survives, pa.scalar(None, pa.string()), kind)


def find_copies(signed: Sequence[Path], documents: int, section: Dedup, scratch: Scratch) -> Copies:
    """Cluster the documents of signature shards, in the order of the shards and rows."""
    shards = [ShardInput(path.stem, (path,), ("",)) for path in signed]
    memory = int(MEMORY_MEGABYTES * 1e6)
    layout = Layout.of(section, captures=False)
    index = build_index(scratch.path(), "inputs", shards, section, layout, memory, scratch.path())
    parts, _ = number([("inputs", 0, shards, index)])
    root, same = forest(parts, documents, section, memory, scratch)
    size = scratch.array(documents, np.uint32)
    count_members(root, NONE_DEAD, size)
    return Copies(root, same, size)
