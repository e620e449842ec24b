"""Tombstones: what was asked to be forgotten, known by a hash alone.

A tombstone holds the SHA-256 of a document's id, URL, host or text and never the thing itself.
Readers leave out whatever matches one (reason ``forgotten``), in every snapshot that is read from
then on; the partitions in which it stood when it was forgotten become stale.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tagarela_dagster.corpus.urls import domains, host_of, normal_url
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import fingerprint

Kind = Literal["id", "url", "host", "text"]
REASON = "forgotten"

_ID = re.compile(r"[a-z][a-z0-9_]*:[0-9a-f]{20}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}")


class TombstoneError(ValueError):
    """What should be forgotten is not understood, or the file of tombstones is damaged."""


@dataclass(frozen=True)
class Tombstone:
    """One thing forgotten.

    Attributes:
        sha256: of the id, the normalised URL, the host, or the text (UTF-8).
        since: when it was forgotten, UTC.
        found: "HOME/PARTITION" of every partition that it stood in then.
    """

    kind: Kind
    sha256: str
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    found: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """What a person named: an id, a URL, a host, or the SHA-256 of a text."""

    kind: Kind
    value: str

    @classmethod
    def parse(cls, name: str) -> Target:
        """Tell which of the four ``name`` is. Raises TombstoneError when it is none."""
        name = name.strip()
        if _ID.fullmatch(name):
            return cls("id", name)
        if _SHA256.fullmatch(name.lower()):
            return cls("text", name.lower())
        if _HOST.fullmatch(name.lower()):
            return cls("host", name.lower())
        if host_of(name) and "." in name:
            return cls("url", normal_url(name))
        raise TombstoneError(
            f"{name!r} is no document id (source:20 hex digits), URL, host, or SHA-256 of a text"
        )

    @property
    def sha256(self) -> str:
        """Hash under which a tombstone knows it."""
        return self.value if self.kind == "text" else sha256(self.value)

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether a document is meant; ``row`` has ``id`` and ``url``, for a text ``text``."""
        return self.sha256 in Tombstones({self.kind: {self.sha256}}).hashes_of(row, (self.kind,))


class Tombstones:
    """Everything forgotten, to be matched against documents."""

    def __init__(self, hashes: Mapping[str, set[str]] | None = None) -> None:
        self.hashes = dict(hashes or {})

    def __bool__(self) -> bool:
        return any(self.hashes.values())

    @classmethod
    def of(cls, tombstones: Iterable[Tombstone]) -> Tombstones:
        """From the rows of a file."""
        hashes: dict[str, set[str]] = {}
        for tombstone in tombstones:
            hashes.setdefault(tombstone.kind, set()).add(tombstone.sha256)
        return cls(hashes)

    def match(self, row: Mapping[str, Any]) -> bool:
        """Whether a document is forgotten."""
        return any(
            not known.isdisjoint(self.hashes_of(row, (kind,)))
            for kind, known in self.hashes.items()
        )

    @staticmethod
    def hashes_of(row: Mapping[str, Any], kinds: Iterable[str]) -> set[str]:
        """Hashes by which a document would be known."""
        found: set[str] = set()
        url = row.get("url")
        for kind in kinds:
            if kind == "id":
                found.add(sha256(row["id"]))
            elif kind == "text":
                found.add(sha256(row["text"]))
            elif url and kind == "url":
                found.add(sha256(normal_url(url)))
            elif url and (host := host_of(url)):
                found |= {sha256(domain) for domain in domains(host)}
        return found


def sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_tombstones(path: Path) -> list[Tombstone]:
    """Rows of a file of tombstones; none when there is no file.

    Raises:
        TombstoneError: a line is damaged. Reading on without it would bring text back.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            found.append(Tombstone(row["kind"], row["sha256"], row["since"], tuple(row["found"])))
        except (ValueError, KeyError, TypeError):
            raise TombstoneError(
                f"{path}, line {number} is damaged: restore the file, or what was forgotten "
                "comes back"
            ) from None
    return found


def add_tombstones(path: Path, new: Iterable[Tombstone]) -> list[Tombstone]:
    """Add tombstones to a file; one that is there already gains the partitions of the new one.

    Two processes that add at the same time lose none of each other's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        rows = {(t.kind, t.sha256): t for t in read_tombstones(path)}
        for tombstone in new:
            key = (tombstone.kind, tombstone.sha256)
            before = rows.get(key)
            found = {*tombstone.found, *(before.found if before else ())}
            rows[key] = Tombstone(*key, tombstone.since, tuple(sorted(found)))
        with atomic_write(path) as file:
            for row in rows.values():
                file.write(json.dumps(asdict(row)) + "\n")
    return list(rows.values())


def forgotten_in(tombstones: Iterable[Tombstone], place: str) -> str | None:
    """Identity of what was forgotten from a partition ("HOME/PARTITION"); None for nothing."""
    ours = sorted([t.kind, t.sha256] for t in tombstones if place in t.found)
    return fingerprint(ours) if ours else None
