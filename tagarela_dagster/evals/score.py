"""Ask a model a whole suite: rows of scores, and every item's result in Parquet.

``scores.json`` holds a row for each score; ``items/TASK.PROTOCOL.parquet`` what the model
answered to each item; ``items/bits_per_byte.parquet`` bits and bytes of each document.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.evals.bits_per_byte import DocumentBits, score_documents
from tagarela_dagster.evals.contamination import (
    TaskContamination,
    read_contamination,
    split_by_contamination,
)
from tagarela_dagster.evals.documents import read_documents
from tagarela_dagster.evals.generation import ItemResult, harness_model, predict_last_words
from tagarela_dagster.evals.items import ItemsError, read_items
from tagarela_dagster.evals.model import LoadedModel, load_model, model_revision
from tagarela_dagster.evals.protocols import SHOTS
from tagarela_dagster.evals.statistics import proportion_interval, ratio_interval
from tagarela_dagster.evals.suite import BITS_PER_BYTE, LastWordTask, Suite
from tagarela_dagster.provenance.files import atomic_path, atomic_write

SCORES_NAME = "scores.json"
STRIDED = "strided"
"""Protocol of bits per byte: windows that advance by half a context."""
RESULT_SCHEMA = pa.schema(
    [
        pa.field("task", pa.string()),
        pa.field("protocol", pa.string()),
        pa.field("id", pa.string()),
        pa.field("prompt", pa.string()),
        pa.field("target", pa.string()),
        pa.field("generation", pa.string()),
        pa.field("answer", pa.string()),
        pa.field("correct", pa.bool_()),
        pa.field("truncated", pa.bool_()),
        pa.field("variety", pa.string()),
        pa.field("group", pa.string()),
    ]
)
BITS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("source", pa.string()),
        pa.field("variety", pa.string()),
        pa.field("tokens", pa.int64()),
        pa.field("bytes", pa.int64()),
        pa.field("bits", pa.float64()),
    ]
)

Row = dict[str, Any]


def score_suite(model: Path, suite: Suite, out: Path) -> list[Row]:
    """Score ``model`` on ``suite``; write the files below ``out`` and return the rows.

    Raises:
        ModelError: ``model`` is no model folder.
        ItemsError: items or documents cannot be read.
        ContaminationError: the report of contamination cannot be read.
    """
    revision = model_revision(model)
    # Whatever is wrong with the questions is said before the model is opened.
    asked = [(task, read_items(task.items).items) for task in suite.last_word]
    found = read_contamination(suite.contamination) if suite.contamination else {}
    loaded = load_model(model)
    rows: list[Row] = []
    if suite.documents:
        rows += _bits_rows(loaded, suite, out)
    if asked:
        lm = harness_model(loaded)
        for task, items in asked:
            for protocol in task.protocols:
                with tempfile.TemporaryDirectory() as scratch:
                    results = predict_last_words(lm, items, protocol, Path(scratch))
                row = _last_word_row(task, protocol, results, suite.confidence, out)
                if suite.contamination:
                    row |= _contamination(results, found.get(task.task), suite.confidence)
                rows.append(row)
    common = {
        "confidence": suite.confidence,
        "model": revision,
        "suite": suite.hash,
        "harness": f"lm_eval {version('lm_eval')}",
    }
    rows = [row | common for row in rows]
    with atomic_write(out / SCORES_NAME) as file:
        json.dump(rows, file, ensure_ascii=False, indent=1)
    return rows


def _last_word_row(
    task: LastWordTask, protocol: str, results: list[ItemResult], confidence: float, out: Path
) -> Row:
    correct = [result.correct for result in results]
    groups = [result.item.group for result in results]
    low, high = proportion_interval(correct, groups, confidence)
    name = f"items/{task.task}.{protocol}.parquet"
    records = [
        {
            "task": task.task,
            "protocol": protocol,
            "id": result.item.id,
            "prompt": result.item.sentence,
            "target": result.item.last_word,
            "generation": result.generation,
            "answer": result.answer,
            "correct": result.correct,
            "truncated": result.truncated,
            "variety": result.item.variety,
            "group": result.item.group,
        }
        for result in results
    ]
    _write(out / name, records, RESULT_SCHEMA)
    return {
        "task": task.task,
        "protocol": protocol,
        "shots": SHOTS,
        "metric": "accuracy",
        "value": sum(correct) / len(correct),
        "low": low,
        "high": high,
        "items": len(correct),
        "truncated": sum(result.truncated for result in results),
        "results": name,
    }


def _contamination(
    results: list[ItemResult], found: TaskContamination | None, confidence: float
) -> Row:
    return split_by_contamination(
        [result.item.id for result in results],
        [result.correct for result in results],
        [result.item.group for result in results],
        found,
        confidence,
    )


def _bits_rows(loaded: LoadedModel, suite: Suite, out: Path) -> list[Row]:
    """Bits per byte over all documents, then by source and by variety.

    A source or variety of a single document has no interval, so it has no row of its own.
    """
    assert suite.documents is not None
    documents = read_documents(suite.documents, suite.max_characters)
    found = list(score_documents(loaded, documents))
    if len(found) < 2:
        raise ItemsError(
            f"{suite.documents} has {len(found)} documents with text: bits per byte with an "
            "interval need at least two (raise evals.held_out.share)"
        )
    name = f"items/{BITS_PER_BYTE}.parquet"
    _write(out / name, [asdict(document) for document in found], BITS_SCHEMA)
    rows = [_bits_row(BITS_PER_BYTE, found, suite.confidence)]
    keys: list[Callable[[DocumentBits], str | None]] = [lambda d: d.source, lambda d: d.variety]
    for key in keys:
        for value in sorted({key(d) for d in found} - {None}, key=str):
            part = [d for d in found if key(d) == value]
            if len(part) > 1:
                rows.append(_bits_row(f"{BITS_PER_BYTE}_{value}", part, suite.confidence))
    return [row | {"results": name} for row in rows]


def _bits_row(task: str, documents: list[DocumentBits], confidence: float) -> Row:
    bits = [document.bits for document in documents]
    size = [document.bytes for document in documents]
    low, high = ratio_interval(bits, size, confidence)
    return {
        "task": task,
        "protocol": STRIDED,
        "shots": 0,
        "metric": BITS_PER_BYTE,
        "value": sum(bits) / sum(size),
        "low": low,
        "high": high,
        "items": len(documents),
    }


def _write(path: Path, records: list[dict[str, Any]], schema: pa.Schema) -> None:
    table = pa.Table.from_pylist(records, schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
