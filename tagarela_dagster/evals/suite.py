"""Suite: everything that is asked of a model, with one hash.

Scores with the same suite hash answer the same questions: the same items, documents, protocols
and settings, down to the bytes. Where the files lie and which model is asked stay out of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.evals.generation import TASKS_FOLDER
from tagarela_dagster.evals.items import ItemsError, choose_items, read_items, write_items
from tagarela_dagster.evals.last_word import HELD_OUT, items_of_documents
from tagarela_dagster.evals.protocols import PROTOCOLS
from tagarela_dagster.provenance.fingerprint import fingerprint, hash_file
from tagarela_dagster.recipe.evals import Evals

LOGIC_VERSION = "2"
BITS_PER_BYTE = "bits_per_byte"
HASH_LENGTH = 16


@dataclass(frozen=True)
class LastWordTask:
    """Last-word prediction over one items file, under some protocols."""

    task: str
    items: Path
    protocols: tuple[str, ...]


@dataclass(frozen=True)
class Suite:
    """What is asked.

    Attributes:
        documents: held-out documents for bits per byte (Parquet or JSONL); None leaves it out.
        max_characters: characters of each document that are scored.
        confidence: of every interval.
        contamination: folder of the corpus's report of contamination; it is told beside the scores
            and asks nothing of the model, so the hash leaves it out.
    """

    last_word: tuple[LastWordTask, ...]
    documents: Path | None
    max_characters: int
    confidence: float
    contamination: Path | None = None

    @property
    def hash(self) -> str:
        """16 hex digits over items, documents, protocols, task files and settings."""
        protocols = sorted({p for task in self.last_word for p in task.protocols})
        content = {
            "logic": LOGIC_VERSION,
            "last_word": {
                task.task: {"items": hash_file(task.items), "protocols": sorted(task.protocols)}
                for task in self.last_word
            },
            "protocols": {p: hash_file(TASKS_FOLDER / f"last_word_{p}.yaml") for p in protocols},
            "documents": hash_file(self.documents) if self.documents else None,
            "max_characters": self.max_characters,
            "confidence": self.confidence,
        }
        return fingerprint(content)[:HASH_LENGTH]

    def as_json(self) -> dict[str, Any]:
        """JSON form, for ``python -m tagarela_dagster.evals.run --suite``."""
        values = asdict(self)
        values["last_word"] = [
            {**asdict(task), "items": str(task.items), "protocols": list(task.protocols)}
            for task in self.last_word
        ]
        for name in ("documents", "contamination"):
            values[name] = str(values[name]) if values[name] else None
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Suite:
        """Inverse of ``as_json``. Raises ValueError for a protocol that does not exist."""
        return cls(
            last_word=tuple(
                LastWordTask(t["task"], Path(t["items"]), check_protocols(t["protocols"]))
                for t in values["last_word"]
            ),
            documents=Path(values["documents"]) if values["documents"] else None,
            max_characters=values["max_characters"],
            confidence=values["confidence"],
            contamination=Path(found) if (found := values.get("contamination")) else None,
        )


def build_suite(
    section: Evals,
    benchmarks: Mapping[str, Path],
    held_out: Path,
    folder: Path,
    contamination: Path | None = None,
) -> Suite:
    """Suite of a recipe; writes the chosen items below ``folder``.

    Args:
        benchmarks: task -> items file (what ``pin_benchmarks`` published).
        held_out: shard of held-out documents.
        contamination: folder of the corpus's report of contamination.

    Raises:
        ItemsError: a task has no items.
    """
    tasks = []
    for name, task in section.last_word.items():
        if task.data == HELD_OUT:
            items = items_of_documents(held_out)
            if not items:
                raise ItemsError(
                    f"evals.last_word.{name}: no held-out document has a passage for an item "
                    "(evals/last_word.py says which do): raise evals.held_out.share, or remove "
                    "the task"
                )
        else:
            items = read_items(benchmarks[name]).items
        path = folder / f"{name}.jsonl"
        write_items(choose_items(items, task.max_items), path)
        tasks.append(LastWordTask(name, path, tuple(task.protocols)))
    return Suite(
        tuple(tasks),
        held_out,
        section.held_out.max_characters,
        section.confidence,
        contamination,
    )


def write_suite(suite: Suite, path: Path) -> None:
    """Write a suite for ``python -m tagarela_dagster.evals.run``."""
    path.write_text(json.dumps(suite.as_json(), ensure_ascii=False, indent=1), encoding="utf-8")


def check_protocols(names: list[str]) -> tuple[str, ...]:
    """The names as a tuple. Raises ValueError, with those that exist, for one that does not."""
    unknown = sorted(set(names) - set(PROTOCOLS))
    if unknown:
        known = ", ".join(PROTOCOLS)
        raise ValueError(f"there is no protocol {', '.join(unknown)}; protocols: {known}")
    return tuple(names)
