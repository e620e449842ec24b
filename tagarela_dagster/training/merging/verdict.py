"""Verdict: whether a merged model is kept, by bits per byte on held-out documents.

Every candidate reads the same documents, so the difference is paired: the merged model is kept
unless it is worse than the best of the others beyond the interval of that difference. What is not
kept is replaced by that best one, and the result says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.evals.bits_per_byte import DocumentBits, score_documents
from tagarela_dagster.evals.documents import read_documents
from tagarela_dagster.evals.model import load_model
from tagarela_dagster.evals.statistics import ratio_interval
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    from tagarela_dagster.recipe.evals import Evals


@dataclass(frozen=True)
class Verdict:
    """What became of a merge.

    Attributes:
        kept: name of the candidate that goes on.
        scores: rows of candidate, bits_per_byte, low, high.
        difference: merged minus best other, bits per byte, with its interval.
    """

    kept: str
    scores: list[dict[str, Any]]
    difference: tuple[float, float, float]

    def as_json(self) -> dict[str, Any]:
        """What the result of a stage says of it."""
        value, low, high = self.difference
        return {
            "kept": self.kept,
            "candidates": self.scores,
            "difference": round(value, 6),
            "difference_low": round(low, 6),
            "difference_high": round(high, 6),
        }


def judge(merged: Path, others: Mapping[str, Path], held_out: Path, evals: Evals) -> Verdict:
    """Score ``merged`` and ``others`` on the held-out documents and say which goes on.

    Raises:
        TrainingError: there is no held-out document.
    """
    (documents,) = sorted(held_out.glob("held_out*.parquet"))[:1] or [held_out]
    found = {name: _score(folder, documents, evals) for name, folder in others.items()}
    mine = _score(merged, documents, evals)
    if not mine:
        raise TrainingError(f"{documents} holds no document: the merge cannot be judged")
    best = min(found, key=lambda name: _ratio(found[name]))
    sizes = [d.bytes for d in mine]
    differences = [a.bits - b.bits for a, b in zip(mine, found[best], strict=True)]
    low, high = ratio_interval(differences, sizes, evals.confidence)
    rows = [_row("merged", mine, evals), *(_row(name, s, evals) for name, s in found.items())]
    value = sum(differences) / sum(sizes)
    return Verdict("merged" if low <= 0 else best, rows, (value, low, high))


def _score(folder: Path, documents: Path, evals: Evals) -> list[DocumentBits]:
    section = evals.held_out
    rows = list(read_documents(documents, section.max_characters))[: section.max_documents]
    return list(score_documents(load_model(folder), rows))


def _ratio(scores: list[DocumentBits]) -> float:
    return sum(d.bits for d in scores) / sum(d.bytes for d in scores)


def _row(name: str, scores: list[DocumentBits], evals: Evals) -> dict[str, Any]:
    low, high = ratio_interval(
        [d.bits for d in scores], [d.bytes for d in scores], evals.confidence
    )
    return {
        "candidate": name,
        "bits_per_byte": round(_ratio(scores), 6),
        "low": round(low, 6),
        "high": round(high, 6),
    }
