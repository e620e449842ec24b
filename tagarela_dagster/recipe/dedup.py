"""Deduplication sections: signatures, clusters, survivors."""

from __future__ import annotations

from pydantic import Field

from tagarela_dagster.recipe.base import Section


class Minhash(Section):
    """MinHash signatures of word 5-grams, 14 bands of 8 hashes (FineWeb)."""

    n_grams: int = Field(default=5, ge=1, le=50)
    bands: int = Field(default=14, ge=1, le=500)
    rows: int = Field(default=8, ge=1, le=100)
    """Hashes in a band."""
    seed: int = Field(default=1, ge=0, lt=2**32)


class Dedup(Section):
    """Exact and near duplicates over all sources."""

    enabled: bool = True
    exact: bool = True
    minhash: Minhash = Minhash()
