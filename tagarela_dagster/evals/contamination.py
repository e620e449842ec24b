"""Contamination beside a score: the share of its items that the training corpus held.

Decontamination reports which items of a task it found in the corpus (docs/formats.md: the report's
``items.parquet`` and ``report.json``). A score on all items is then shown with the share of items
found before anything was removed, the share whose copies are left after, and the score on the
items of which no copy was ever found.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tagarela_dagster.evals.statistics import proportion_interval

ITEMS_NAME, REPORT_NAME = "items.parquet", "report.json"


class ContaminationError(ValueError):
    """A report of contamination cannot be used."""


@dataclass(frozen=True)
class TaskContamination:
    """What was found of a task's items, by their ids.

    Attributes:
        found: in any document, before removal.
        left: in documents that stay as they are.
    """

    found: frozenset[str]
    left: frozenset[str]


def read_contamination(folder: Path) -> dict[str, TaskContamination]:
    """Task -> what was found, for every task whose items were searched for.

    Args:
        folder: with ``items.parquet`` and ``report.json``.

    Raises:
        ContaminationError: a file is missing or of another format.
    """
    try:
        tasks = json.loads((folder / REPORT_NAME).read_text(encoding="utf-8"))["tasks"]
        rows = pq.read_table(folder / ITEMS_NAME, columns=["task", "item", "left"]).to_pylist()
    except (OSError, ValueError, KeyError) as error:
        raise ContaminationError(
            f"{folder} holds no report of contamination ({error}): write one with "
            "corpus/decontamination/report.py, or leave it out"
        ) from None
    return {
        task: TaskContamination(
            frozenset(row["item"] for row in rows if row["task"] == task),
            frozenset(row["item"] for row in rows if row["task"] == task and row["left"]),
        )
        for task, counts in tasks.items()
        if counts["searched"]
    }


def split_by_contamination(
    ids: Sequence[str],
    correct: Sequence[bool],
    groups: Sequence[str | None],
    found: TaskContamination | None,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """What a score's row says of contamination.

    Args:
        ids, correct, groups: (items,) of the results, as in ``proportion_interval``.
        found: None when the task's items were not searched for.

    Returns:
        ``contamination`` and ``contamination_left``: share of these items that were found, and
        that are left; ``clean_items``, and the score on them: ``clean_value``, ``clean_low``,
        ``clean_high``. A value is None where there is nothing to tell.
    """
    row: dict[str, Any] = dict.fromkeys(
        ("contamination", "contamination_left", "clean_items")
        + ("clean_value", "clean_low", "clean_high")
    )
    if found is None or not ids:
        return row
    places = [place for place, identifier in enumerate(ids) if identifier not in found.found]
    row["contamination"] = 1 - len(places) / len(ids)
    row["contamination_left"] = _share(ids, found.left)
    row["clean_items"] = len(places)
    if places:
        hits = [correct[place] for place in places]
        low, high = proportion_interval(hits, [groups[place] for place in places], confidence)
        row |= {"clean_value": sum(hits) / len(hits), "clean_low": low, "clean_high": high}
    return row


def _share(ids: Sequence[str], of: Collection[str]) -> float:
    return sum(identifier in of for identifier in ids) / len(ids)
