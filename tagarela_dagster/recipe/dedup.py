"""Deduplication sections: signatures, clusters, survivors."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from tagarela_dagster.recipe.base import Section

Order = Literal["quality", "rank", "source", "newest", "oldest", "snapshot", "id"]
"""A key by which duplicates are compared: ``quality`` (higher first), ``rank`` of the source
(lower first), ``source`` (by name), ``newest`` or ``oldest`` (date), ``snapshot`` (earlier name
first), ``id``. A document without quality or date comes after those with one."""


class Minhash(Section):
    """MinHash signatures of word 5-grams, 14 bands of 8 hashes (FineWeb)."""

    n_grams: int = Field(default=5, ge=1, le=50)
    bands: int = Field(default=14, ge=1, le=500)
    rows: int = Field(default=8, ge=1, le=100)
    """Hashes in a band."""
    seed: int = Field(default=1, ge=0, lt=2**32)


class RepeatedLines(Section):
    """A line that stands in many documents is boilerplate (CCNet, RedPajama)."""

    enabled: bool = False
    min_letters: int = Field(default=20, ge=1)
    """A line with fewer letters is left alone."""
    max_documents: int = Field(default=6, ge=1)
    """Documents that may share a line; with more of them it is cut out."""
    keep_first: bool = True
    """The first document by the order of survival keeps the line."""
    scope: Literal["corpus", "source"] = "corpus"
    """Where documents are counted: over all sources, or in each by itself."""


class ExactSubstrings(Section):
    """Words that an earlier document has in the same order are cut out (Lee et al. 2021)."""

    enabled: bool = False
    min_words: int = Field(default=50, ge=4, le=10_000)
    """Words of the shortest run that is cut."""


class Repeats(Section):
    """Repeated lines and runs of words, looked for in the documents that deduplication keeps."""

    lines: RepeatedLines = RepeatedLines()
    substrings: ExactSubstrings = ExactSubstrings()
    min_words_left: int = Field(default=20, ge=0)
    """A document that loses something and is left with fewer words is dropped, unless others
    lost a text because this document has it."""

    @property
    def enabled(self) -> bool:
        """Whether anything is looked for."""
        return self.lines.enabled or self.substrings.enabled


class Dedup(Section):
    """Exact and near duplicates over all sources."""

    enabled: bool = True
    exact: bool = True
    minhash: Minhash = Minhash()
    order: tuple[Order, ...] = ("rank", "source", "snapshot", "id")
    """Which of several duplicates survives: the first by these keys, completed by source,
    snapshot, id, shard and row."""
    quality: str = "words"
    """Which signal ``quality`` stands for: a classifier's score, say, or the number of words."""
    newest_capture: bool | tuple[str, ...] = False
    """Sources or readers of which only the newest capture of a URL takes part (true: all)."""
    repeats: Repeats = Repeats()

    @field_validator("order")
    @classmethod
    def _each_once(cls, order: tuple[Order, ...]) -> tuple[Order, ...]:
        twice = sorted({key for key in order if order.count(key) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands in it twice: name each key once")
        if {"newest", "oldest"} <= set(order):
            raise ValueError("newest and oldest exclude each other: keep the one you mean")
        return order

    def as_json(self) -> dict[str, Any]:
        """What decides clusters: all but ``repeats``, which are looked for afterwards."""
        return self.model_dump(mode="json", exclude={"repeats"})

    @property
    def quality_signal(self) -> str | None:
        """The signal that ``quality`` stands for, where the order asks for it."""
        return self.quality if "quality" in self.order else None

    def keeps_newest(self, source: str, reader: str | None = None) -> bool:
        """Whether only the newest capture of a URL takes part of this source."""
        if isinstance(self.newest_capture, bool):
            return self.newest_capture
        return source in self.newest_capture or reader in self.newest_capture
