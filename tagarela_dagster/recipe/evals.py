"""Evaluation section: held-out text, last-word prediction, protocols."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tagarela_dagster.recipe.base import Section

Protocol = Literal["gloria", "tucano"]


class HeldOut(Section):
    """Documents kept from training, chosen by a hash of their id."""

    share: float = Field(default=0.02, gt=0, le=0.5)
    max_documents: int = Field(default=2_000, ge=1)
    """Held-out documents scored in bits per byte, evenly over sources."""
    max_characters: int = Field(default=4_000, ge=100)
    """Characters of each document that are scored."""


class LastWord(Section):
    """A last-word set in CALAME-PT's format (``sentence``, ``last_word``)."""

    data: str
    """``sample:FILE``, a path to JSONL, CSV or Parquet, ``hub:NAME``, or ``held_out``: built from
    held-out documents by the rule documented in evals/last_word.py."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Pins a file; a file with another hash is refused."""
    protocols: list[Protocol] = ["gloria", "tucano"]
    max_items: int = Field(default=5_000, ge=1)
    """Items that are scored (CALAME-PT has 2,076); of a larger set those with the lowest hash."""


class Evals(Section):
    """The evaluation suite."""

    held_out: HeldOut = HeldOut()
    last_word: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], LastWord] = {
        "last_word_sample": LastWord(data="sample:benchmarks/ultima_palavra.jsonl"),
        "last_word_held_out": LastWord(data="held_out"),
    }
    """Task name -> data."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)

    def as_json(self) -> dict[str, Any]:
        """Fingerprinted form, of sections that have one of their own too."""
        tasks = {name: task.as_json() for name, task in self.last_word.items()}
        return {**self.model_dump(mode="json"), "last_word": tasks}
