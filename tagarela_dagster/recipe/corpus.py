"""Corpus section: what every document goes through on its way to the clean shards."""

from __future__ import annotations

from pydantic import Field

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
from tagarela_dagster.recipe.portuguese import Portuguese


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
    shard_megabytes: int = Field(default=64, ge=1, le=4096)
    """Text bytes after which a document shard is closed (10^6 bytes)."""
    max_document_megabytes: int = Field(default=16, ge=1, le=1024)
    """A record with more text than this is quarantined."""
