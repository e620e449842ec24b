"""Which documents belong together: joins over the indexes of all partitions, one hash at a time.

Only hashes are read, never text. Two documents are joined when their texts are equal, when all
values of a band are (compared by a 64-bit hash: among 10**9 documents a band has about .03 false
pairs), or when they are short and have the same normalised words. Memory: 4 bytes for every
kept document of the whole corpus, and what the caller allows for the hashes, which are read from
the sorted indexes range by range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.index import Index, Table
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.corpus.kernels.components import (
    Nodes,
    count_members,
    first_alive,
    flatten,
    list_members,
    narrow,
)
from tagarela_dagster.corpus.kernels.join import join
from tagarela_dagster.provenance.alignment import ShardInput

MAX_DOCUMENTS = 2**32
MAX_ROWS = 2**31
"""Rows of a join; its table numbers them with 32 bits."""
NONE_DEAD = np.zeros(0, np.uint8)
Bits = NDArray[np.uint8]


class TooManyDocumentsError(ValueError):
    """More documents than a node number can tell apart."""


@dataclass(frozen=True)
class Part:
    """A partition in the clustering.

    Attributes:
        start: node of its first kept document; the others follow in the order of shards and rows.
    """

    name: str
    rank: int
    shards: tuple[ShardInput, ...]
    index: Index
    start: int

    @property
    def source(self) -> str:
        """Of ``source@snapshot``."""
        return self.name.partition("@")[0]

    @property
    def snapshot(self) -> str:
        """Of ``source@snapshot``."""
        return self.name.partition("@")[2]


def number(
    named: Sequence[tuple[str, int, Sequence[ShardInput], Index]],
) -> tuple[tuple[Part, ...], int]:
    """Give every kept document its node, partition after partition; also how many there are.

    Args:
        named: name, rank, shards and index of each partition.
    """
    parts: list[Part] = []
    start = 0
    for name, rank, shards, index in named:
        parts.append(Part(name, rank, tuple(shards), index, start))
        start += index.documents
    if start > MAX_DOCUMENTS:
        raise TooManyDocumentsError(
            f"{start} documents are kept: at most {MAX_DOCUMENTS} can be clustered at once; "
            "filter more, or deduplicate the largest sources in recipes of their own first"
        )
    return tuple(parts), start


def new_forest(nodes: int, scratch: Scratch) -> Nodes:
    """(nodes,) parent of each node: every node its own root."""
    parent = scratch.array(nodes, np.uint32)
    for first in range(0, nodes, 1 << 24):
        last = min(nodes, first + (1 << 24))
        parent[first:last] = np.arange(first, last, dtype=np.uint32)
    return parent


def join_column(
    parts: Sequence[Part], name: str, parent: Nodes, memory: int, dead: Bits = NONE_DEAD
) -> None:
    """Unite in ``parent`` all living documents that have the same value of a hash.

    Args:
        memory: bytes that the hashes may take. Documents that all have one and the same value
            are read together even so, at 12 or 20 bytes each.
        dead: one bit a node; such a document takes no part.
    """
    for keys, other, nodes, starts in read_ranges(parts, name, memory):
        join(keys, other, nodes, starts, dead, parent)


def read_ranges(
    parts: Sequence[Part], name: str, memory: int
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64], Nodes, NDArray[np.int64]]]:
    """A table of all partitions, range of keys by range of keys.

    Yields:
        (rows,) keys, (rows,) other halves of 128-bit keys (else empty) and (rows,) nodes: a
        slice of each partition after the other, ascending in key; (slices + 1,) where each begins.
    """
    found = [(part, part.index.table(name)) for part in parts]
    tables = [(part, table) for part, table in found if table is not None and table.entries]
    if not tables:
        return
    wide = tables[0][1].wide
    for bounds in _ranges(tables, min(memory // (40 if wide else 24), MAX_ROWS)):
        starts = np.zeros(len(tables) + 1, np.int64)
        np.cumsum([last - first for first, last in bounds], out=starts[1:])
        keys = np.empty(starts[-1], np.uint64)
        other = np.empty(starts[-1] if wide else 0, np.uint64)
        nodes = np.empty(starts[-1], np.uint32)
        for place, (part, table) in enumerate(tables):
            here = slice(starts[place], starts[place + 1])
            keys[here], halves, documents = part.index.read(table, *bounds[place])
            if wide:
                other[here] = halves
            np.add(documents, np.uint32(part.start), out=nodes[here])
        yield keys, other, nodes, starts


def _ranges(tables: Sequence[tuple[Part, Table]], limit: int) -> Iterator[list[tuple[int, int]]]:
    """Ranges of keys that have at most ``limit`` entries: first and last entry in each table."""
    whole = [0] * len(tables), [table.entries for _, table in tables]
    pending = [(0, 2**64, *whole)]
    while pending:
        low, high, firsts, lasts = pending.pop()
        if sum(lasts) - sum(firsts) <= limit or high - low == 1:
            yield list(zip(firsts, lasts, strict=True))
            continue
        middle = (low + high) // 2
        cut = [part.index.search(table, middle) for part, table in tables]
        pending += [(middle, high, cut, lasts), (low, middle, firsts, cut)]


@dataclass(frozen=True)
class Groups:
    """Groups of two or more documents.

    Attributes:
        members: (members,) nodes, ascending.
        of: (members,) number of each member's group.
        count: number of groups.
    """

    members: Nodes
    of: Nodes
    count: int


def group(root: Nodes, scratch: Scratch, dead: Bits = NONE_DEAD) -> Groups:
    """The trees of a forest that have two living nodes or more.

    Args:
        root: (nodes,) forest; it is flattened in place.
    """
    flatten(root)
    sizes = scratch.array(len(root), np.uint32)
    total = count_members(root, dead, sizes)
    members, of = scratch.array(total, np.uint32), scratch.array(total, np.uint32)
    count = list_members(root, dead, sizes, members, of)
    return Groups(members, of, count)


class Election:
    """The first member of every group in an order given key by key.

    Args:
        of: (members,) group of each member.
        slots: group numbers are below it.
        groups: how many groups there are.
    """

    def __init__(self, of: Nodes, slots: int, groups: int, scratch: Scratch) -> None:
        self.of = of
        self.groups = groups
        self.left = len(of)
        self.alive = scratch.array(len(of), np.uint8)
        self.alive[:] = 1
        self._least = scratch.array(slots, np.uint64)

    @property
    def decided(self) -> bool:
        """Whether every group has one candidate left."""
        return self.left == self.groups

    def narrow(self, key: NDArray[np.uint64]) -> None:
        """Leave the candidates whose (members,) key is least in their group."""
        if not self.decided:
            self.left = narrow(self.of, self.alive, key, self._least)

    def first(self, scratch: Scratch) -> Nodes:
        """(slots,) place among the members of each group's first candidate."""
        first = scratch.array(len(self._least), np.uint32)
        first_alive(self.of, self.alive, first)
        return first
