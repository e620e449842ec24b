"""What every writer is told about the file it writes."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

from tagarela_dagster.sample.plan import Item
from tagarela_dagster.sample.prose import SAMPLE, Prose

TEMPLATES = SAMPLE / "templates"
"""Pages and heads of XML files, with ``$name`` where something is filled in."""

NAMESPACE = uuid.UUID("6f7a61de-9f5e-5c0b-8a57-0c8b0e6d1a55")
"""Namespace of the sample's identifiers (UUID version 5)."""


@dataclass(frozen=True)
class Context:
    """Source and snapshot of a file, its name below the snapshot, and all texts."""

    source: str
    snapshot: str
    file: str
    texts: dict[str, Prose]

    def prose(self, item: Item) -> Prose:
        """Text of an item."""
        return item.prose(self.texts)

    def proses(self, item: Item) -> list[Prose]:
        """All texts of an item that has several."""
        return [self.texts[slug] for slug in item.texts]

    def uuid(self, *parts: str) -> str:
        """A UUID that depends on the source and ``parts`` alone."""
        return str(uuid.uuid5(NAMESPACE, "/".join((self.source, *parts))))

    def number(self, name: str, below: int) -> int:
        """A number from 0 to ``below`` - 1 that depends on the name alone."""
        digest = hashlib.sha256(f"{self.source}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % below
