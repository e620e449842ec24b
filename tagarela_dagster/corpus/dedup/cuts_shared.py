"""Which hashes several documents share, and the documents that take part, by order of survival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.components import Part, read_ranges
from tagarela_dagster.corpus.dedup.index import Entries
from tagarela_dagster.corpus.dedup.order import Members
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.corpus.dedup.spool import Spool, sort_entries
from tagarela_dagster.corpus.kernels.components import Nodes
from tagarela_dagster.corpus.kernels.repeats_groups import order_equal, shared

Hashes = NDArray[np.uint64]


def shared_entries(
    parts: Sequence[Part], name: str, least: int, memory: int, dead: NDArray[np.bool_]
) -> Iterator[Entries]:
    """Entries of a table whose hash at least ``least`` living documents have.

    Args:
        dead: (nodes,) documents that take no part.

    Yields:
        Keys, other halves and nodes, ascending; equal hashes are in one piece.
    """
    # A range is sorted beside itself: half of what a join may take.
    for keys, other, nodes, _ in read_ranges(parts, name, memory // 2):
        alive = ~dead[nodes]
        keys, other, nodes = _choose((keys, other, nodes), alive)
        keys, other, nodes = sort_entries(keys, other, nodes)
        if len(other):
            order_equal(keys, other, nodes)
        chosen = np.zeros(len(keys), np.bool_)
        shared(keys, other, nodes, least, chosen)
        if chosen.any():
            yield _choose((keys, other, nodes), chosen)


def _choose(entries: Entries, chosen: NDArray[np.bool_]) -> Entries:
    keys, other, nodes = entries
    return keys[chosen], other[chosen] if len(other) else other, nodes[chosen]


def whole_groups(pieces: Iterator[Entries]) -> Iterator[Entries]:
    """Sorted pieces, cut so that equal keys are in one."""
    held: Entries | None = None
    for piece in pieces:
        if held is not None:
            piece = (
                np.concatenate([held[0], piece[0]]),
                np.concatenate([held[1], piece[1]]),
                np.concatenate([held[2], piece[2]]),
            )
        last = int(np.searchsorted(piece[0], piece[0][-1]))
        if last:
            yield piece[0][:last], piece[1][:last], piece[2][:last]
        held = piece[0][last:], piece[1][last:], piece[2][last:]
    if held is not None:
        yield held


class HashLists:
    """The hashes that each document is searched for; they come in any order of documents.

    Args:
        budget: bytes that sorting may take.
    """

    def __init__(self, scratch: Scratch, budget: int) -> None:
        self._scratch = scratch
        self._spool = Spool(scratch.subfolder(), "lists", True, budget)
        self.budget = budget
        self.nodes: Nodes = np.empty(0, np.uint32)
        self.hashes: Hashes = np.empty(0, np.uint64)

    def add(self, nodes: Nodes, hashes: Hashes) -> None:
        """A hash for each node; for one node they come ascending."""
        keys = nodes.astype(np.uint64) << np.uint64(32)
        self._spool.add(keys, hashes, np.zeros(len(nodes), np.uint32))
        if 2 * self._spool.held > self.budget:
            self._spool.spill()

    def close(self) -> None:
        """Sort by document; nothing is added afterwards."""
        total = self._spool.entries
        self.nodes = self._scratch.array(total, np.uint32)
        self.hashes = self._scratch.array(total, np.uint64)
        at = 0
        for keys, hashes, _ in self._spool.drain():
            here = slice(at, at + len(keys))
            self.nodes[here] = (keys >> np.uint64(32)).astype(np.uint32)
            self.hashes[here] = hashes
            at += len(keys)

    def bounds(self, nodes: Nodes) -> NDArray[np.int64]:
        """(nodes + 1,) where in ``hashes`` the lists of ascending nodes begin.

        Every node with a list that lies between the first and the last must be among them.
        """
        starts = np.searchsorted(self.nodes, nodes)
        last = np.searchsorted(self.nodes, nodes[-1:], side="right")
        return np.concatenate([starts, last]).astype(np.int64)


def survival_ranks(members: Members, scratch: Scratch) -> Nodes:
    """(members,) place of each member in the order of survival, from 0.

    Memory: some 40 bytes for each member while it is computed.
    """
    total = len(members.nodes)
    ranks = scratch.array(total, np.uint32)
    order = np.arange(total)
    for key in members.order_keys():
        order = np.lexsort((key, ranks))
        sorted_ranks, sorted_key = ranks[order], key[order]
        differs = np.empty(total, np.bool_)
        differs[:1] = False
        differs[1:] = (sorted_ranks[1:] != sorted_ranks[:-1]) | (sorted_key[1:] != sorted_key[:-1])
        ranks[order] = np.cumsum(differs, dtype=np.uint32)
        if differs.sum() == total - 1:
            return ranks
    # Equal in every key: the order of the nodes decides (the sort is stable).
    ranks[np.argsort(ranks, kind="stable")] = np.arange(total, dtype=np.uint32)
    return ranks
