"""Rehydration section: how often the mixture repeats a document that had many duplicates."""

from __future__ import annotations

from pydantic import field_validator

from tagarela_dagster.recipe.base import Section

PORTUGUESE_UP_TO_05 = {1: 1, 2: 2, 4: 3, 6: 4, 11: 5, 34: 4, 39: 5, 47: 4, 71: 3, 109: 2, 169: 1}
"""FineWeb-2's repeats for Portuguese, at most 5 (arXiv 2506.20920, huggingface/fineweb-2): from a
cluster size on -> repeats. They follow how many documents of that size its filters removed."""


class Rehydration(Section):
    """Repeats of a cluster's survivor by the size of the cluster (FineWeb-2)."""

    enabled: bool = False
    repeats: dict[int, int] = PORTUGUESE_UP_TO_05
    """Cluster size, from which on -> how often the survivor is in the mixture."""

    @field_validator("repeats")
    @classmethod
    def _ascending(cls, repeats: dict[int, int]) -> dict[int, int]:
        if 1 not in repeats:
            raise ValueError(
                "repeats has no entry for size 1: say how often a document without "
                "duplicates is used (1: once)"
            )
        bad = {size: times for size, times in repeats.items() if size < 1 or times < 0}
        if bad:
            raise ValueError(f"repeats has {bad}: sizes begin at 1, repeats at 0")
        return dict(sorted(repeats.items()))
