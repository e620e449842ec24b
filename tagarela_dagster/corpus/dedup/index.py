"""Index of a partition: its documents' hashes, sorted, kept from one run to the next.

An index depends on the partition's signatures and decisions alone, so a run takes over those of
the partitions that are as they were, and sorts only what is new. It lies beside the clusters
(``state/PARTITION.index``); docs/formats.md describes it. Only kept documents are in it, numbered
in the order of their shards and rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128

from tagarela_dagster.provenance.files import atomic_write

MAGIC = b"TAGARELA"
FORMAT = 1
_DIGEST = 16
_ALIGN = 64
_BLOCK = 1 << 22

Rows = NDArray[np.uint32]
Entries = tuple[NDArray[np.uint64], NDArray[np.uint64], Rows]
"""Keys, the other halves of 128-bit keys (else empty), and documents."""


class UnusableIndexError(ValueError):
    """An index cannot be used: damaged, of another format or of other inputs."""


@dataclass(frozen=True)
class Table:
    """A table of an index: one kind of hash of its documents.

    Attributes:
        entries: documents that have this hash.
        wide: the hash has 128 bits.
    """

    name: str
    entries: int
    wide: bool

    @property
    def bytes(self) -> int:
        """Size in the file."""
        return self.entries * (20 if self.wide else 12)


@dataclass(frozen=True)
class Index:
    """An index on disk.

    Attributes:
        identity: what it was made of; compared, not interpreted.
        shards: name, rows and kept documents of each shard.
        start: byte at which the arrays begin.
    """

    path: Path
    identity: str
    shards: tuple[tuple[str, int, int], ...]
    tables: tuple[Table, ...]
    start: int

    @property
    def documents(self) -> int:
        """Kept documents."""
        return sum(kept for _, _, kept in self.shards)

    @cached_property
    def _offsets(self) -> dict[str, int]:
        offset = self.start + _padded(4 * self.documents)
        found = {}
        for table in self.tables:
            found[table.name] = offset
            offset += _padded(table.bytes)
        return found

    def rows(self) -> Rows:
        """(documents,) row of each kept document in its shard."""
        return _read(self.path, np.uint32, self.start, self.documents)

    def table(self, name: str) -> Table | None:
        """The table of that name, if the index has it."""
        return next((table for table in self.tables if table.name == name), None)

    def search(self, table: Table, key: int) -> int:
        """How many entries have a key below ``key`` (at most 2**64)."""
        if not table.entries or key > 2**64 - 1:
            return table.entries
        offset = self._offsets[table.name]
        keys = np.memmap(self.path, np.uint64, "r", offset, (table.entries,))
        return int(np.searchsorted(keys, np.uint64(key)))

    def read(self, table: Table, first: int, last: int) -> Entries:
        """Entries ``first`` to ``last`` (not included), ascending by key, then by document."""
        offset, count = self._offsets[table.name], last - first
        keys = _read(self.path, np.uint64, offset + 8 * first, count)
        offset += 8 * table.entries
        other = np.empty(0, np.uint64)
        if table.wide:
            other = _read(self.path, np.uint64, offset + 8 * first, count)
            offset += 8 * table.entries
        return keys, other, _read(self.path, np.uint32, offset + 4 * first, count)


def open_index(path: Path, identity: str, trusted: bool = False) -> Index:
    """Open and check an index.

    Args:
        trusted: written by this process, so its checksum is right.

    Raises:
        UnusableIndexError: it is damaged, of another format, or not of ``identity``.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise UnusableIndexError("it is no index")
        size = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(size, path.stat().st_size)))
        except ValueError:
            raise UnusableIndexError("its header is damaged") from None
        if header.get("format") != FORMAT:
            raise UnusableIndexError(f"it has format {header.get('format')}, not {FORMAT}")
        if header["identity"] != identity:
            raise UnusableIndexError("its inputs or settings have changed")
        file.seek(0)
        content = path.stat().st_size - _DIGEST
        if not trusted and _checksum(file, content) != file.read():
            raise UnusableIndexError("its content does not match its checksum")
    shards = tuple((str(name), int(rows), int(kept)) for name, rows, kept in header["shards"])
    tables = tuple(Table(name, entries, wide) for name, entries, wide in header["tables"])
    return Index(path, identity, shards, tables, _padded(len(MAGIC) + 8 + size))


def write_index(
    path: Path,
    identity: str,
    shards: Sequence[tuple[str, int, int]],
    rows: Rows,
    tables: Sequence[tuple[Table, Iterator[Entries]]],
) -> None:
    """Write an index; the entries of a table come in pieces, ascending."""
    fields = {
        "format": FORMAT,
        "identity": identity,
        "shards": shards,
        "tables": [[table.name, table.entries, table.wide] for table, _ in tables],
    }
    header = json.dumps(fields, ensure_ascii=False).encode()
    with atomic_write(path, "wb+") as file:
        file.write(MAGIC + len(header).to_bytes(8, "little") + header)
        start = _padded(file.tell())
        _write_at(file, start, rows)
        start += _padded(4 * len(rows))
        for table, pieces in tables:
            places = [start, start + 8 * table.entries, start + 8 * table.entries]
            places[2] += 8 * table.entries * table.wide
            for piece in pieces:
                arrays: Sequence[NDArray[Any]] = piece
                for part, array in enumerate(arrays):
                    _write_at(file, places[part], array)
                    places[part] += array.nbytes
            start += _padded(table.bytes)
        file.truncate(start)
        file.seek(0)
        digest = _checksum(file, start)
        file.seek(start)
        file.write(digest)


def _write_at(file: IO[bytes], offset: int, array: NDArray[Any]) -> None:
    file.seek(offset)
    file.write(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())


def _checksum(file: IO[bytes], size: int) -> bytes:
    digest = xxh3_128()
    while size > 0 and (block := file.read(min(_BLOCK, size))):
        digest.update(block)
        size -= len(block)
    return digest.digest()


def _padded(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN


def _read(path: Path, kind: Any, offset: int, count: int) -> NDArray[Any]:
    return np.fromfile(path, kind, count, offset=offset)
