"""The order in which duplicates survive, as 64-bit keys: the least key stays.

Every order is completed to a total one with source, snapshot, id, shard and row (the last two are
the order of the nodes). Keys come one at a time, so that the later ones are computed only where
the earlier ones leave a tie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.components import Part
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.components import Nodes, string_words

LAST = np.uint64(2**63)
"""Key of a document without a value: after every other."""
COMPLETION = ("source", "snapshot", "id")
LATEST = "latest"
"""Later snapshot first; part of the order of captures, not of the recipe."""

Key = NDArray[np.uint64]


def quality_key(values: pa.Array) -> Key:
    """Higher first; null and NaN last."""
    numbers = values.cast(pa.float32()).to_numpy(zero_copy_only=False).astype(np.float32)
    bits = (numbers + np.float32(0)).view(np.uint32).astype(np.uint64)
    negative = bits >> np.uint64(31) == 1
    ascending = np.where(negative, np.uint64(0xFFFFFFFF) - bits, bits + np.uint64(0x80000000))
    return np.where(np.isnan(numbers), LAST, np.uint64(0xFFFFFFFF) - ascending)


def newest_key(values: pa.Array) -> Key:
    """Later date first; null last."""
    return _date_key(values, -1)


def oldest_key(values: pa.Array) -> Key:
    """Earlier date first; null last."""
    return _date_key(values, 1)


def _date_key(values: pa.Array, sign: int) -> Key:
    days = values.cast(pa.int32()).cast(pa.int64())
    known = days.is_valid().to_numpy(zero_copy_only=False)
    keys = sign * days.fill_null(0).to_numpy().astype(np.int64) + 2**32
    return np.where(known, keys.astype(np.uint64), LAST)


COLUMNS: dict[str, tuple[str, Callable[[pa.Array], Key]]] = {
    "quality": ("quality", quality_key),
    "newest": ("date", newest_key),
    "oldest": ("date", oldest_key),
}
"""Keys that are columns of the signature shards."""
PARTITION_KEYS: dict[str, Callable[[Part], int | str]] = {
    "rank": lambda part: part.rank,
    "source": lambda part: part.source,
    "snapshot": lambda part: part.snapshot,
    LATEST: lambda part: part.snapshot,
}
"""Keys that all documents of a partition share."""


class Members:
    """What is known of the members of groups: where they lie, their ids and their keys.

    Attributes:
        nodes: (members,) ascending.
        bounds: (parts + 1,) first member of each part.
        ids: (members,).
    """

    def __init__(
        self, parts: Sequence[Part], nodes: Nodes, order: Sequence[str], scratch: Scratch
    ) -> None:
        self.parts = parts
        self.nodes = nodes
        self.order = (*order, *(key for key in COMPLETION if key not in order))
        ends = [part.start + part.index.documents for part in parts]
        self.bounds = np.append(0, _count_below(nodes, ends))
        self._keys = {k: scratch.array(len(nodes), np.uint64) for k in order if k in COLUMNS}
        self._scratch = scratch
        self.ids = scratch.texts(self._read())

    def shards(self, place: int) -> Iterator[tuple[int, int, int, Nodes]]:
        """Of part ``place``, each shard with members: its number, its members, their rows."""
        part = self.parts[place]
        first, end = int(self.bounds[place]), int(self.bounds[place + 1])
        if first == end:
            return
        rows = part.index.rows()
        nodes = self.nodes[first:end]
        kept = np.cumsum([kept for _, _, kept in part.index.shards])
        start = first
        for number, last in enumerate(start + _count_below(nodes, part.start + kept)):
            if last > first:
                documents = nodes[first - start : last - start] - np.uint32(part.start)
                yield number, first, int(last), rows[documents]
            first = int(last)

    def order_keys(self) -> Iterator[Key]:
        """Keys of the order, most important first."""
        for name in self.order:
            if name in PARTITION_KEYS:
                yield self._partition_key(name)
            elif name == "id":
                yield from self._id_keys()
            else:
                yield self._keys[name]

    def _read(self) -> Iterator[pa.ChunkedArray]:
        """Ids, shard after shard; the key columns are read on the way."""
        columns = sorted({COLUMNS[key][0] for key in self._keys})
        for place, part in enumerate(self.parts):
            for number, first, last, rows in self.shards(place):
                path = part.shards[number].paths[0]
                table = pq.read_table(path, columns=["id", *columns], use_threads=False)
                table = table.take(pa.array(rows))
                for key, into in self._keys.items():
                    column, encode = COLUMNS[key]
                    into[first:last] = encode(table.column(column).combine_chunks())
                yield table.column("id")

    def _partition_key(self, name: str) -> Key:
        values = [PARTITION_KEYS[name](part) for part in self.parts]
        _, ordinals = np.unique(np.array(values), return_inverse=True)
        if name == LATEST:
            ordinals = len(values) - ordinals
        key = self._scratch.array(len(self.nodes), np.uint64)
        for place, ordinal in enumerate(ordinals):
            key[self.bounds[place] : self.bounds[place + 1]] = ordinal
        return key

    def _id_keys(self) -> Iterator[Key]:
        data, offsets = text_buffers(self.ids)
        key = self._scratch.array(len(self.nodes), np.uint64)
        longest = int(np.diff(offsets).max(initial=0))
        for at in range(0, longest, 8):
            string_words(data, offsets, at, key)
            yield key


def _count_below(nodes: Nodes, ends: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the ascending nodes lie below each end (without a copy of the nodes)."""
    bounds = np.array(ends, np.int64)
    last = np.maximum(bounds, 1) - 1
    return np.where(bounds > 0, np.searchsorted(nodes, last.astype(np.uint32), side="right"), 0)
