"""Plan: which text stands in which native file, and what must happen to it.

``plan.yaml`` is source -> snapshot -> file -> items. An item that is only a slug is an ordinary
document that must be kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from tagarela_dagster.recipe.base import Section
from tagarela_dagster.sample.prose import SAMPLE, Prose

PLAN = SAMPLE / "plan.yaml"
Stage = Literal["documents", "filtered", "deduped", "clean"]


class Item(Section):
    """One record of a native file."""

    text: str = ""
    """Slug of its text; none for records that hold no prose."""
    texts: list[str] = []
    """Slugs, where several texts make one record (the speeches of a sitting)."""
    name: str = ""
    """Name of the record, unique in its snapshot; the text's slug unless given."""
    drop: str | None = None
    """``stage/reason`` of the record's end; none means that it must be kept."""
    quarantine: str | None = None
    """Reason for which reading must quarantine the record."""
    why: str = ""
    of: str | None = None
    """``source@snapshot/name`` of the record that this one is a duplicate of."""
    edits: list[Literal["encoding", "cleanup", "boilerplate", "pii"]] = []
    """Edits that must change the text on its way."""
    gone: list[str] = []
    """Strings that the text must not hold any more when it is clean."""
    stays: list[str] = []
    """Strings that the clean text must hold."""
    replace: dict[str, str] = {}
    """Words that are replaced in the text before it is written."""
    has: dict[str, Any] = Field(default={}, alias="with")
    """Settings of the native format (its module in ``formats`` says which)."""

    @model_validator(mode="after")
    def _told(self) -> Item:
        if not (self.text or self.name):
            raise ValueError("an item needs a text or a name")
        if (self.drop or self.quarantine) and not self.why:
            raise ValueError(f"{self.label}: say why it must not be kept")
        return self

    @property
    def label(self) -> str:
        """Name of the record."""
        return self.name or self.text

    def prose(self, texts: dict[str, Prose]) -> Prose:
        """The item's text, with its words replaced. Raises KeyError for an unknown slug."""
        return texts[self.text].changed(self.replace)


Plan = dict[str, dict[str, dict[str, list[Item]]]]
"""Source -> snapshot -> file -> items."""


def read_plan(path: Path = PLAN) -> Plan:
    """The plan of the bundled sample. Raises pydantic's ValidationError for a bad item."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        source: {
            snapshot: {file: _items(items) for file, items in files.items()}
            for snapshot, files in snapshots.items()
        }
        for source, snapshots in raw.items()
    }


def _items(rows: list[Any]) -> list[Item]:
    return [Item.model_validate({"text": row} if isinstance(row, str) else row) for row in rows]
