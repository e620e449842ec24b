"""What a reader is given: raw files, cut into units of work.

A unit is the smallest piece that one task reads from start to end; the document shards that it
gives depend on nothing else, so the number of workers never changes a byte. A reader is a module
with ``read(unit, source)`` and, where one file holds several units, ``plan(files, source)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.recipe.sources import Source

UNIT_BYTES = 2_000_000
"""Small files are read together until a unit holds this many raw bytes."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file of a snapshot. ``name`` is its path below the source's folder, with ``/``."""

    path: Path
    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Unit:
    """Files (or one byte range of one file) that are read together.

    Attributes:
        name: stable and unique within the snapshot; file names only, no machine paths.
        part: first byte and the byte after the last of ``files[0]``; None for whole files.
    """

    name: str
    files: tuple[RawFile, ...]
    part: tuple[int, int] | None = None


class ReaderModule(Protocol):
    """The contract that every module of a native format keeps."""

    def read(self, unit: Unit, source: Source) -> Iterator[Document | Rejected]:
        """Yield every record of ``unit``, sound or not; raise only for a bug."""
        ...


def group_files(files: Sequence[RawFile], unit_bytes: int = UNIT_BYTES) -> list[Unit]:
    """Default plan: files in name order, small ones together."""
    units: list[Unit] = []
    group: list[RawFile] = []
    for file in sorted(files, key=lambda f: f.name):
        if group and sum(f.bytes for f in group) + file.bytes > unit_bytes:
            units.append(Unit(group[0].name, tuple(group)))
            group = []
        group.append(file)
    if group:
        units.append(Unit(group[0].name, tuple(group)))
    return units
