from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.evals.contamination import (
    ContaminationError,
    TaskContamination,
    read_contamination,
    split_by_contamination,
)
from tagarela_dagster.evals.items import write_items
from tagarela_dagster.evals.last_word import load_items
from tagarela_dagster.evals.score import score_suite
from tagarela_dagster.evals.statistics import proportion_interval
from tagarela_dagster.evals.suite import LastWordTask, Suite
from tagarela_dagster.recipe.evals import LastWord
from tests.evals.tiny_model import write_model

IDS = ["a", "b", "c", "d"]
CORRECT = [True, True, False, False]


def write_report(folder: Path, items: list[tuple[str, str, int]], **searched: int) -> Path:
    folder.mkdir()
    rows = [{"task": task, "item": item, "left": left} for task, item, left in items]
    pq.write_table(pa.Table.from_pylist(rows), folder / "items.parquet")
    tasks = {task: {"searched": number} for task, number in searched.items()}
    (folder / "report.json").write_text(json.dumps({"tasks": tasks}))
    return folder


def test_a_score_is_told_on_clean_items_too_with_its_interval() -> None:
    found = TaskContamination(frozenset({"a", "x"}), frozenset())
    row = split_by_contamination(IDS, CORRECT, [None] * 4, found)
    low, high = proportion_interval([True, False, False])
    assert row == {
        "contamination": 0.25,
        "contamination_left": 0.0,
        "clean_items": 3,
        "clean_value": 1 / 3,
        "clean_low": low,
        "clean_high": high,
    }


def test_nothing_is_told_where_nothing_was_searched_or_nothing_is_clean() -> None:
    assert set(split_by_contamination(IDS, CORRECT, [None] * 4, None).values()) == {None}
    everything = TaskContamination(frozenset(IDS), frozenset(IDS))
    row = split_by_contamination(IDS, CORRECT, [None] * 4, everything)
    assert (row["contamination"], row["contamination_left"], row["clean_items"]) == (1, 1, 0)
    assert row["clean_value"] is None


def test_a_task_without_searched_items_is_unknown_not_clean(tmp_path: Path) -> None:
    report = write_report(tmp_path / "r", [("provas", "a", 1), ("provas", "b", 0)], provas=3, oab=0)
    assert read_contamination(report) == {
        "provas": TaskContamination(frozenset({"a", "b"}), frozenset({"a"}))
    }
    with pytest.raises(ContaminationError, match="holds no report of contamination"):
        read_contamination(tmp_path)


def test_contamination_stands_in_the_rows_and_not_in_the_suites_hash(tmp_path: Path) -> None:
    items = load_items(LastWord(data="sample:benchmarks/ultima_palavra.jsonl")).items[:3]
    write_items(items, tmp_path / "amostra.jsonl")
    report = write_report(tmp_path / "r", [("amostra", items[1].id, 0)], amostra=3)
    tasks = (LastWordTask("amostra", tmp_path / "amostra.jsonl", ("tucano",)),)
    suite = Suite(tasks, None, 100, 0.95, report)
    assert Suite.from_json(suite.as_json()) == suite
    assert suite.hash == Suite(tasks, None, 100, 0.95).hash
    (row,) = score_suite(write_model(tmp_path / "m", context=160), suite, tmp_path / "out")
    assert row["items"] == 3
    assert row["contamination"] == pytest.approx(1 / 3)
    assert (row["contamination_left"], row["clean_items"]) == (0, 2)
