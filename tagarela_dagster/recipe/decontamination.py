"""Decontamination section: what a copy of a benchmark item is."""

from __future__ import annotations

from pydantic import Field

from tagarela_dagster.recipe.base import Section


class Decontamination(Section):
    """Documents that contain benchmark items are dropped."""

    enabled: bool = True
    n_grams: int = Field(default=13, ge=4, le=50)
    """Words in a matching run; an item shorter than this must be contained whole."""
    min_item_words: int = Field(default=8, ge=1)
    """Items with fewer words are not searched for: they match by chance."""
