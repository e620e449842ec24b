"""Decontamination section: what a copy of a benchmark item is, and what happens to it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tagarela_dagster.recipe.base import Section


class Decontamination(Section):
    """Benchmark items are taken out of the corpus."""

    enabled: bool = True
    n_grams: int = Field(default=13, ge=4, le=50)
    """Words in a matching run; an item shorter than this must be contained whole."""
    min_item_words: int = Field(default=8, ge=1)
    """Items with fewer words are not searched for: they match by chance."""
    min_covered: float = Field(default=0.0, ge=0, le=1)
    """Share of an item's words that a document must hold before anything is done about it; with
    less, the match is reported and the document stays. 0: any matching run will do. An exam that
    quotes a law shares runs with the law, but few of its words (docs/log.md has figures)."""
    mismatches: int = Field(default=0, ge=0, le=1)
    """Words inside a matching run that may differ (Tucano 2 allows one)."""
    action: Literal["drop", "mask", "report"] = "drop"
    """``drop``: the document; ``mask``: the sentences or lines that hold the run are cut out of
    it; ``report``: nothing, but matches are counted and the scores say so."""
    min_words: int = Field(default=50, ge=0)
    """Under ``mask``, a document with fewer words left is dropped."""
