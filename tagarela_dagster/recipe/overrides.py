"""Overrides section: thresholds of one source, where the recipe's own do not fit its register.

FineWeb-2's thresholds were derived on web pages. A statute repeats its formulas and a novel's
dialogue is full of punctuation, which spaCy counts as words without letters. An override says only
what differs, and decides without any text being read again: what is measured is one for all.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, model_validator

from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.filtering import C4, Language, Madlad, Quality, Repetition
from tagarela_dagster.recipe.portuguese import Limits

M = TypeVar("M", bound=BaseModel)

MEASURED = {
    "language": {"exempt_sources": "turn the rule off here with `enabled: false`"},
    "quality": {"stop_words": "their count is measured once for all: set corpus.quality"},
}
"""Fields that no source can have for itself, and what to do instead."""


class PortugueseOverride(Section):
    """What an override may say of the Portuguese rules."""

    limits: Limits = Limits()


class Override(Section):
    """Decisions of one source; a field that is not given is as in the recipe's own section.

    A mapping (``dup_n_grams``) is merged key by key.
    """

    language: Language = Language()
    repetition: Repetition = Repetition()
    quality: Quality = Quality()
    c4: C4 = C4()
    madlad: Madlad = Madlad()
    portuguese: PortugueseOverride = PortugueseOverride()

    @model_validator(mode="after")
    def _only_decisions(self) -> Override:
        for name, fields in MEASURED.items():
            for field in sorted(getattr(self, name).model_fields_set & set(fields)):
                raise ValueError(f"{name}.{field} cannot differ by source: {fields[field]}")
        return self

    def as_json(self) -> dict[str, Any]:
        """What is given, and nothing else."""
        return self.model_dump(mode="json", exclude_unset=True)


def merged(base: M, over: BaseModel) -> M:
    """``base`` with the fields that were given to ``over``; sections and mappings by key."""
    values: dict[str, Any] = {}
    for name in sorted(over.model_fields_set):
        own, given = getattr(base, name), getattr(over, name)
        if isinstance(own, BaseModel):
            values[name] = merged(own, given)
        else:
            values[name] = {**own, **given} if isinstance(own, dict) else given
    return base.model_copy(update=values)
