"""Ledger: documents and bytes in = kept + dropped by reason + edits, exactly.

Each shard of each stage accounts for itself; partitions, assets and the whole are sums. Bytes
are UTF-8 bytes of text. An edit (line clean-up, PII replacement) changes the text of a document
that is kept: its bytes removed (negative when the edit added some) are booked under its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

UNKNOWN_VARIETY = "unknown"
QUARANTINE_PREFIX = "quarantined_"
"""Reasons of records that are bad input, not documents dropped by a rule."""


class LedgerError(ValueError):
    """A ledger does not balance."""


@dataclass
class Tally:
    """How many documents and how many bytes of text."""

    documents: int = 0
    bytes: int = 0

    def add(self, documents: int, size: int) -> None:
        """Count ``documents`` with ``size`` bytes of text in all."""
        self.documents += documents
        self.bytes += size


@dataclass
class Ledger:
    """The account of one shard, partition, stage, or of everything."""

    stage: str
    source: str
    snapshot: str
    documents_in: int = 0
    bytes_in: int = 0
    documents_kept: int = 0
    bytes_kept: int = 0
    dropped: dict[str, Tally] = field(default_factory=dict)
    edits: dict[str, int] = field(default_factory=dict)
    varieties: dict[str, Ledger] = field(default_factory=dict)
    """The same account by variety, all edits under one name; empty where it is not kept."""

    def drop(self, reason: str, documents: int, size: int) -> None:
        """Book documents dropped for ``reason``."""
        self.dropped.setdefault(reason, Tally()).add(documents, size)

    def edit(self, name: str, removed: int) -> None:
        """Book bytes that an edit removed from documents that are kept."""
        self.edits[name] = self.edits.get(name, 0) + removed

    def of_variety(self, name: str | None) -> Ledger:
        """The part of the account that is of one variety (None: not known)."""
        name = name or UNKNOWN_VARIETY
        if name not in self.varieties:
            self.varieties[name] = Ledger(self.stage, self.source, self.snapshot)
        return self.varieties[name]

    def add(self, other: Ledger) -> None:
        """Add another account to this one."""
        self.documents_in += other.documents_in
        self.bytes_in += other.bytes_in
        self.documents_kept += other.documents_kept
        self.bytes_kept += other.bytes_kept
        for reason, tally in other.dropped.items():
            self.drop(reason, tally.documents, tally.bytes)
        for name, removed in other.edits.items():
            self.edit(name, removed)
        for name, part in other.varieties.items():
            self.of_variety(name).add(part)

    @property
    def quarantined(self) -> int:
        """Records that were bad input."""
        reasons = self.dropped.items()
        return sum(t.documents for reason, t in reasons if reason.startswith(QUARANTINE_PREFIX))

    def check(self) -> None:
        """Raise LedgerError, with both sides of the sum, when the account does not balance."""
        documents = self.documents_kept + sum(t.documents for t in self.dropped.values())
        size = self.bytes_kept + sum(t.bytes for t in self.dropped.values())
        size += sum(self.edits.values())
        where = f"{self.stage} of {self.source}@{self.snapshot}"
        if documents != self.documents_in:
            raise LedgerError(
                f"{where}: {self.documents_in} documents in, {documents} accounted for"
            )
        if size != self.bytes_in:
            raise LedgerError(f"{where}: {self.bytes_in} bytes in, {size} accounted for")
        if self.varieties:
            self._check_varieties(where)

    def _check_varieties(self, where: str) -> None:
        for part in self.varieties.values():
            part.check()
        for name in ("documents_in", "bytes_in", "documents_kept", "bytes_kept"):
            found, wanted = (
                sum(getattr(p, name) for p in self.varieties.values()),
                getattr(self, name),
            )
            if found != wanted:
                raise LedgerError(f"{where}: {name} is {wanted}, its varieties have {found}")

    def as_json(self) -> dict[str, Any]:
        """JSON form; reasons in order of documents dropped."""
        ordered = sorted(self.dropped.items(), key=lambda item: (-item[1].documents, item[0]))
        return {
            "stage": self.stage,
            "source": self.source,
            "snapshot": self.snapshot,
            "documents_in": self.documents_in,
            "documents_kept": self.documents_kept,
            "dropped": {reason: tally.documents for reason, tally in ordered},
            "bytes_in": self.bytes_in,
            "bytes_kept": self.bytes_kept,
            "dropped_bytes": {reason: tally.bytes for reason, tally in ordered},
            "edited_bytes": dict(sorted(self.edits.items())),
            "varieties": {name: part.as_json() for name, part in sorted(self.varieties.items())},
        }

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Ledger:
        """Inverse of ``as_json``."""
        dropped = {
            reason: Tally(documents, row["dropped_bytes"][reason])
            for reason, documents in row["dropped"].items()
        }
        names = ("documents_in", "bytes_in", "documents_kept", "bytes_kept")
        return cls(
            row["stage"],
            row["source"],
            row["snapshot"],
            **{name: row[name] for name in names},
            dropped=dropped,
            edits=dict(row["edited_bytes"]),
            varieties={name: cls.from_json(part) for name, part in row["varieties"].items()},
        )


def total(stage: str, source: str, snapshot: str, parts: Iterable[Ledger]) -> Ledger:
    """Sum of ``parts``, checked part by part."""
    whole = Ledger(stage, source, snapshot)
    for part in parts:
        part.check()
        whole.add(part)
    whole.check()
    return whole
