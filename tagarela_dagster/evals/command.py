"""``tagarela evaluate``: score any local model folder on one file of items or documents."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tagarela_dagster.evals.items import write_items
from tagarela_dagster.evals.last_word import load_items
from tagarela_dagster.evals.model import model_revision
from tagarela_dagster.evals.suite import BITS_PER_BYTE, LastWordTask, Suite, check_protocols
from tagarela_dagster.recipe.evals import Evals, LastWord

LAST_WORD = "last_word"
TASKS = (LAST_WORD, BITS_PER_BYTE)
COLUMNS = ("task", "protocol", "shots", "metric", "value", "low", "high", "items")


def evaluate_model(
    model: Path,
    *,
    tasks: Sequence[str] = (LAST_WORD,),
    protocols: Sequence[str] = ("gloria", "tucano"),
    data: str = "sample:benchmarks/ultima_palavra.jsonl",
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Rows ``{task, protocol, shots, metric, value, low, high, items}`` of a model folder.

    Args:
        tasks: ``last_word`` reads ``data`` as items (a file, ``sample:…`` or ``hub:NAME``);
            ``bits_per_byte`` reads it as documents (Parquet or JSONL with ``text``).
        limit: score only the first items; documents are always scored whole.

    Raises:
        ValueError: no such task or protocol, no model in the folder, or unusable data; the message
            says which.
    """
    unknown = sorted(set(tasks) - set(TASKS))
    if unknown:
        raise ValueError(f"there is no task {', '.join(unknown)}; tasks: {', '.join(TASKS)}")
    if BITS_PER_BYTE in tasks and not Path(data).is_file():
        raise ValueError(f"bits_per_byte needs a file of documents with --data, not {data!r}")
    model_revision(model)
    defaults = Evals()
    with tempfile.TemporaryDirectory() as folder:
        last_word: tuple[LastWordTask, ...] = ()
        if LAST_WORD in tasks:
            names = check_protocols(list(protocols))
            path = Path(folder) / "items.jsonl"
            write_items(load_items(LastWord(data=data)).items[:limit], path)
            last_word = (LastWordTask(LAST_WORD, path, names),)
        suite = Suite(
            last_word,
            Path(data) if BITS_PER_BYTE in tasks else None,
            defaults.held_out.max_characters,
            defaults.confidence,
        )
        from tagarela_dagster.evals.score import score_suite

        rows = score_suite(model, suite, Path(folder) / "out")
    return [{name: row[name] for name in COLUMNS} for row in rows]
