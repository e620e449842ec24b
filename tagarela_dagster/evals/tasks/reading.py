"""What the task files name as ``process_results``: the protocols, in the harness's own form."""

from __future__ import annotations

from typing import Any

from tagarela_dagster.evals.protocols import PROTOCOLS


def gloria(document: dict[str, Any], results: list[str]) -> dict[str, float]:
    """1 or 0 under the gloria protocol."""
    return {"exact_match": float(PROTOCOLS["gloria"].score(results[0], document["last_word"]))}


def tucano(document: dict[str, Any], results: list[str]) -> dict[str, float]:
    """1 or 0 under the tucano protocol."""
    return {"exact_match": float(PROTOCOLS["tucano"].score(results[0], document["last_word"]))}
