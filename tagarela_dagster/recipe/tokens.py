"""Tokens section: tokenizer, token shards, mixture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.mixture import Mixture
from tagarela_dagster.recipe.rehydration import Rehydration


class Tokenizer(Section):
    """Tokenizer trained on the clean corpus."""

    kind: Literal["bpe", "unigram", "base"] = "bpe"
    """Byte-level BPE, or unigram with byte fall-back; both round-trip any text. ``base``: the
    tokenizer of ``training.base``, unchanged; nothing is trained."""
    vocabulary: int = Field(default=32_000, ge=300, le=500_000)
    min_frequency: int = Field(default=2, ge=1)
    max_training_megabytes: int = Field(default=2_000, ge=1)
    """Text that the tokenizer is trained on, spread over sources (10^6 bytes)."""


class Tokens(Section):
    """From clean text to a training mixture."""

    tokenizer: Tokenizer = Tokenizer()
    rehydration: Rehydration = Rehydration()
    mixture: Mixture = Mixture()
