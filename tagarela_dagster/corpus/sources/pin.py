"""Pin a snapshot: which raw files it holds, by name, size and SHA-256.

This is the boundary to the network: whatever brings a snapshot into the source's folder, what
the corpus is made of is what was pinned. Hashes are kept beside the pin with each file's size
and modification time, so that asking again whether a snapshot changed reads no file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard

PINS = "files.json"


@dataclass(frozen=True)
class PinnedFile:
    """A raw file as it was read."""

    name: str
    bytes: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def identify(files: Sequence[RawFile], cache: Path) -> list[PinnedFile]:
    """Name, size and hash of each file; only files that ``cache`` has not seen are read."""
    try:
        seen = json.loads(cache.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        seen = {}
    pinned, known = [], {}
    for file in sorted(files, key=lambda f: f.name):
        status = file.path.stat()
        entry = seen.get(file.name)
        if not entry or entry[:2] != [status.st_size, status.st_mtime_ns]:
            entry = [status.st_size, status.st_mtime_ns, hash_file(file.path)]
        known[file.name] = entry
        pinned.append(PinnedFile(file.name, entry[0], entry[2]))
    if known != seen:
        with atomic_write(cache) as out:
            json.dump(known, out)
    return pinned


def pin_snapshot(writer: PartitionWriter, files: Sequence[RawFile], license_: str) -> Manifest:
    """Publish the pins of a snapshot as ``files.json``."""
    pinned = identify(files, writer.folder / "seen.json")
    with atomic_write(writer.data / PINS) as out:
        json.dump([file.as_json() for file in pinned], out, ensure_ascii=False, indent=1)
    counts = {
        "files": len(pinned),
        "bytes": sum(file.bytes for file in pinned),
        "license": license_,
    }
    return writer.publish([Shard.of(writer.data, PINS, len(pinned))], counts)
