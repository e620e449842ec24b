"""Corpus section: what every document goes through on its way to the clean shards."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_serializer, model_validator

from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.card import Card
from tagarela_dagster.recipe.decontamination import Decontamination
from tagarela_dagster.recipe.dedup import Dedup
from tagarela_dagster.recipe.filtering import (
    C4,
    Cleanup,
    Language,
    Licenses,
    Madlad,
    Pii,
    Quality,
    Repetition,
)
from tagarela_dagster.recipe.models import Models
from tagarela_dagster.recipe.overrides import Override, merged
from tagarela_dagster.recipe.portuguese import Portuguese
from tagarela_dagster.recipe.sources import SourceName


class Corpus(Section):
    """Everything between reading and tokens."""

    cleanup: Cleanup = Cleanup()
    language: Language = Language()
    repetition: Repetition = Repetition()
    quality: Quality = Quality()
    c4: C4 = C4()
    madlad: Madlad = Madlad()
    pii: Pii = Pii()
    portuguese: Portuguese = Portuguese()
    licenses: Licenses = Licenses()
    models: Models = Models()
    dedup: Dedup = Dedup()
    decontamination: Decontamination = Decontamination()
    card: Card = Card()
    overrides: dict[SourceName, Override] = {}
    """Thresholds of a source that differ from those above."""
    shard_megabytes: int = Field(default=64, ge=1, le=4096)
    """Text bytes after which a document shard is closed (10^6 bytes)."""
    max_document_megabytes: int = Field(default=16, ge=1, le=1024)
    """A record with more text than this is quarantined."""

    @model_validator(mode="after")
    def _language_is_measured(self) -> Corpus:
        for source, override in self.overrides.items():
            language = override.language
            if "enabled" in language.model_fields_set and language.enabled > self.language.enabled:
                raise ValueError(
                    f"overrides.{source}.language.enabled is true, but no language is identified "
                    "while corpus.language.enabled is false: turn it on there"
                )
        return self

    @field_serializer("overrides", when_used="json")
    def _overrides_as_given(self, overrides: dict[str, Override]) -> dict[str, Any]:
        return {source: override.as_json() for source, override in overrides.items()}

    def for_source(self, source: str) -> Corpus:
        """These sections as they are for the decisions of one source."""
        override = self.overrides.get(source)
        base = self.model_copy(update={"overrides": {}})
        return merged(base, override) if override else base
