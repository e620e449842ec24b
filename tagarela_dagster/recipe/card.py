"""Card section: what a corpus's card says beyond what lineage knows, and what is exported."""

from __future__ import annotations

import datetime
from typing import Literal, get_args

from pydantic import Field, field_validator

from tagarela_dagster.recipe.base import Section

Column = Literal[
    "id",
    "text",
    "source",
    "snapshot",
    "url",
    "date",
    "title",
    "license",
    "variety",
    "variety_score",
    "language",
    "language_score",
    "quality",
    "meta",
]
CardLanguage = Literal["en", "pt"]


class Card(Section):
    """The data card, Croissant metadata and export of the corpus."""

    title: str = ""
    """Empty: the recipe's name."""
    version: str = Field(default="1.0.0", pattern=r"^\d+\.\d+\.\d+$")
    published: datetime.date | None = None
    """Date of publication; nothing is stamped by the clock, so that an export can be repeated."""
    creator: str = ""
    url: str = ""
    """Where the corpus is published."""
    citation: str = ""
    """How to cite it, in BibTeX."""
    contact: str = ""
    """Address to which a request to take a text down is sent; the card says it if there is none."""
    license: str = ""
    """SPDX identifier of the collection; empty: every document has its own."""
    gaps: dict[CardLanguage, list[str]] = {}
    """Known gaps that no figure shows, a sentence each."""
    columns: list[Column] = list(get_args(Column))
    """Columns that are exported. With all of them, shards are linked and not written again."""
    top_hosts: int = Field(default=20, ge=0, le=1000)
    """Web hosts that the card lists."""

    @field_validator("columns")
    @classmethod
    def _has_text(cls, columns: list[Column]) -> list[Column]:
        if not {"id", "text"} <= set(columns):
            raise ValueError("an export needs the columns id and text")
        return columns
