"""Manifest: what a finished partition is, written last.

A partition is a folder of shards and a ``manifest.json``. A folder without a manifest does not
exist for readers. The manifest's hash is the partition's data version; it covers the recipe
section, the code version, the hashes of the inputs' manifests and every shard's bytes, and
leaves out worker counts, hosts, paths and times, so the same inputs and recipe give the same
hash everywhere. The format is described in docs/formats.md.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import fingerprint, hash_file

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
MOST_KEPT = 4_096
"""Manifests that a process keeps parsed."""


class ManifestError(ValueError):
    """A manifest cannot be read or does not describe the files beside it."""


@dataclass(frozen=True)
class Shard:
    """One file of a partition. ``path`` is relative to the partition's data folder."""

    path: str
    bytes: int
    rows: int
    sha256: str

    @classmethod
    def of(cls, folder: Path, path: str, rows: int) -> Shard:
        """Describe ``folder/path`` as it is on disk."""
        file = folder / path
        return cls(path=path, bytes=file.stat().st_size, rows=rows, sha256=hash_file(file))

    def is_sound(self, folder: Path) -> bool:
        """Whether ``folder / path`` is as described; reads all of it."""
        file = folder / self.path
        return has_size(file, self.bytes) and hash_file(file) == self.sha256


@dataclass(frozen=True)
class Manifest:
    """A finished partition: where it comes from and what it holds."""

    asset: str
    partition: str | None
    code_version: str
    section: dict[str, Any]
    inputs: dict[str, str]
    shards: tuple[Shard, ...]
    counts: dict[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    @cached_property
    def hash(self) -> str:
        """Data version: SHA-256 over everything in this manifest."""
        return fingerprint(self.as_json())

    @cached_property
    def data_name(self) -> str:
        """Name of the folder that holds the shards: derived from their content."""
        return "data-" + fingerprint([asdict(shard) for shard in self.shards])[:16]

    def missing(self, data: Path) -> list[Shard]:
        """Shards that are not in the folder ``data``, or have another size there."""
        return [shard for shard in self.shards if not has_size(data / shard.path, shard.bytes)]

    def damaged(self, data: Path) -> list[Shard]:
        """Shards of which the file in ``data`` is missing or has another hash; reads them all."""
        return [shard for shard in self.shards if not shard.is_sound(data)]

    def select(self, prefix: str) -> list[Shard]:
        """Shards whose path starts with ``prefix`` (``"kept/"``), in path order."""
        return sorted((s for s in self.shards if s.path.startswith(prefix)), key=lambda s: s.path)

    def as_json(self) -> dict[str, Any]:
        """JSON form, in which the manifest is written and hashed."""
        return {
            "format_version": self.format_version,
            "asset": self.asset,
            "partition": self.partition,
            "code_version": self.code_version,
            "section": self.section,
            "inputs": dict(sorted(self.inputs.items())),
            "shards": [asdict(shard) for shard in self.shards],
            "counts": self.counts,
        }

    def write(self, folder: Path) -> None:
        """Publish: write ``manifest.json`` into ``folder`` by atomic rename."""
        with atomic_write(folder / MANIFEST_NAME) as file:
            json.dump(self.as_json(), file, ensure_ascii=False, indent=1)
            file.write("\n")


_read: dict[bytes, Manifest] = {}
"""SHA-256 of a manifest's bytes -> the manifest. Files are read each time they are asked for, which
is for every partition that reads them; what costs is to parse and to fingerprint the same again."""


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a partition folder; None when nothing is published there.

    Raises:
        ManifestError: the file is damaged or of another format version.
    """
    path = folder / MANIFEST_NAME
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    digest = hashlib.sha256(text).digest()
    if digest not in _read:
        if len(_read) >= MOST_KEPT:
            _read.clear()
        _read[digest] = _parse(path, text)
    return _read[digest]


def _parse(path: Path, text: bytes) -> Manifest:
    try:
        content = json.loads(text)
        version = content["format_version"]
    except (ValueError, LookupError, TypeError) as error:
        raise _damaged(path, error) from None
    if version != FORMAT_VERSION:
        raise ManifestError(
            f"{path} has format version {version}, this release reads {FORMAT_VERSION}: "
            "delete the partition and materialize it again"
        )
    try:
        shards = tuple(Shard(**shard) for shard in content.pop("shards"))
        return Manifest(shards=shards, **content)
    except (LookupError, TypeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> ManifestError:
    return ManifestError(f"{path} is damaged ({error}): delete it and materialize again")


def has_size(path: Path, size: int) -> bool:
    """Whether a file is there and has so many bytes."""
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False
