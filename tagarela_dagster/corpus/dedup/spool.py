"""Sort more hashes than fit in memory: runs on disk by their high bits, then one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.index import Entries
from tagarela_dagster.corpus.kernels.join import sort_pairs

RUN_BITS = 6
"""A spilled table, or a run of it that is still too long, is split in 64."""
_BLOCK_ROWS = 1 << 18


class Spool:
    """Entries of one table, until they are read back sorted.

    Args:
        folder: for the runs; removed by its owner.
        budget: bytes that sorting may take.

    Attributes:
        entries: how many there are.
        held: bytes of those in memory.
    """

    def __init__(self, folder: Path, name: str, wide: bool, budget: int) -> None:
        self.folder = folder
        self.name = name
        self.wide = wide
        self.budget = budget
        self.entries = 0
        self.held = 0
        self._pieces: list[Entries] = []
        self._spilled = False

    def add(self, keys: NDArray[np.uint64], other: NDArray[np.uint64], documents: Any) -> None:
        """Append entries; documents ascend."""
        self._pieces.append((keys, other, documents))
        self.entries += len(keys)
        self.held += len(keys) * (20 if self.wide else 12)

    def spill(self) -> None:
        """Move what is in memory to the runs."""
        for piece in self._pieces:
            self._split(self._records(piece), "", 0)
        self._pieces, self.held, self._spilled = [], 0, True

    def drain(self) -> Iterator[Entries]:
        """All entries in pieces, ascending by key, equal keys in the order of ``add``."""
        if not self._spilled:
            pieces, self._pieces = self._pieces, []
            if pieces:
                keys, other, documents = (
                    np.concatenate(part) for part in zip(*pieces, strict=True)
                )
                pieces.clear()
                yield sort_entries(keys, other, documents)
            return
        self.spill()
        yield from self._drain_runs("", 0)

    def _drain_runs(self, prefix: str, depth: int) -> Iterator[Entries]:
        for number in range(1 << RUN_BITS):
            run = f"{prefix}-{number:02d}"
            path = self._path(run)
            if not path.exists():
                continue
            size = path.stat().st_size
            if 4 * size <= self.budget:
                yield sort_entries(*self._columns(np.fromfile(path, self._type)))
            elif (depth + 2) * RUN_BITS <= 64 and not self._is_one_key(path):
                for records in self._blocks(path):
                    self._split(records, run, depth + 1)
                yield from self._drain_runs(run, depth + 1)
            else:
                # Nothing is left to sort: equal keys are in the order of ``add``.
                yield from self._drain_equal(path)
            path.unlink()

    def _drain_equal(self, path: Path) -> Iterator[Entries]:
        distinct: set[int] = set()
        for records in self._blocks(path):
            distinct.update(np.unique(records["key"]).tolist())
        for key in sorted(distinct):
            for records in self._blocks(path):
                yield self._columns(records[records["key"] == np.uint64(key)])

    def _is_one_key(self, path: Path) -> bool:
        keys = {int(key) for block in self._blocks(path) for key in np.unique(block["key"])[:2]}
        return len(keys) == 1

    def _split(self, records: NDArray[Any], prefix: str, depth: int) -> None:
        shift = np.uint64(64 - RUN_BITS * (depth + 1))
        runs = ((records["key"] >> shift) & np.uint64((1 << RUN_BITS) - 1)).astype(np.uint8)
        order = np.argsort(runs, kind="stable")
        ends = np.cumsum(np.bincount(runs, minlength=1 << RUN_BITS))
        for number, part in enumerate(np.split(records[order], ends[:-1])):
            if len(part):
                with self._path(f"{prefix}-{number:02d}").open("ab") as file:
                    file.write(part.tobytes())

    def _blocks(self, path: Path) -> Iterator[NDArray[Any]]:
        with path.open("rb") as file:
            while len(records := np.fromfile(file, self._type, _BLOCK_ROWS)):
                yield records

    @property
    def _type(self) -> np.dtype[Any]:
        halves = [("key", np.uint64)] + [("other", np.uint64)] * self.wide
        return np.dtype([*halves, ("document", np.uint32)])

    def _records(self, piece: Entries) -> NDArray[Any]:
        records = np.empty(len(piece[0]), self._type)
        records["key"], records["document"] = piece[0], piece[2]
        if self.wide:
            records["other"] = piece[1]
        return records

    def _columns(self, records: NDArray[Any]) -> Entries:
        other = records["other"].copy() if self.wide else np.empty(0, np.uint64)
        return records["key"].copy(), other, records["document"].copy()

    def _path(self, run: str) -> Path:
        return self.folder / f"{self.name}{run}.run"


def sort_entries(
    keys: NDArray[np.uint64], other: NDArray[np.uint64], documents: NDArray[np.uint32]
) -> Entries:
    """Entries sorted by key; equal keys keep their order. ``keys`` is sorted in place."""
    spare = np.empty_like(keys), np.empty_like(documents)
    if not len(other):
        sort_pairs(keys, documents, *spare)
        return keys, other, documents
    order = np.arange(len(keys), dtype=np.uint32)
    sort_pairs(keys, order, *spare)
    return keys, other[order], documents[order]
