"""The library behind ``tagarela filter IN OUT``: the filter kernel on anybody's files.

Reads Parquet and JSON Lines (gz and zst too) with a ``text`` column as a stream, needs no Dagster
and no lake. Results are the same bytes for any number of workers.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Rejected
from tagarela_dagster.corpus.filtering.kernel import make_kernel
from tagarela_dagster.corpus.filtering.results import results_folder, writing
from tagarela_dagster.corpus.shards import ShardWriter, text_bytes
from tagarela_dagster.corpus.stage import Kernel, Outcome
from tagarela_dagster.corpus.tables import TableError, read_tables, table_schema
from tagarela_dagster.provenance.parent import exit_with_parent
from tagarela_dagster.recipe.corpus import Corpus
from tagarela_dagster.recipe.filtering import Licenses

COMPUTED = ("language", "language_score", "quality")
"""Columns that the kernel adds; a column of the input with such a name is replaced."""

RESULTS = ("quarantine.jsonl", "dropped.parquet", "kept.parquet", "summary.json")
_IN_FLIGHT = 2
"""Batches a worker may have waiting, which bounds memory."""


def filter_file(
    inputs: Path,
    out: Path,
    corpus: Corpus,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Filter a file or a folder of files and write the results to ``out``.

    Writes ``kept.parquet`` and ``dropped.parquet`` (input columns, then ``language``,
    ``language_score``, ``quality``; dropped documents also ``reason``, with the text they came in
    with), ``summary.json``, and ``quarantine.jsonl`` when records could not be read. The licence
    gate is off unless there is a ``license`` column.

    Args:
        progress: called with the number of documents of each finished batch.

    Returns:
        What ``summary.json`` holds: ``documents_in``, ``documents_kept``, ``dropped`` (reason ->
        documents), ``bytes_in``, ``bytes_kept``, ``bytes_dropped``, ``edits`` (edit -> bytes
        removed from kept documents), ``quarantined``. Bytes are UTF-8 bytes of text.

    Raises:
        TableError: the input cannot be read as a table, or ``out`` lies in the input folder.
        OutputError: ``out`` cannot be written to.
    """
    if inputs.is_dir() and out.resolve().is_relative_to(inputs.resolve()):
        raise TableError(f"{out} lies in {inputs}, so its results would be read: choose another")
    schema = table_schema(inputs)
    if "license" not in schema.names:
        corpus = corpus.model_copy(update={"licenses": Licenses(require=False)})
    kept_schema = _with_computed(schema)
    dropped_schema = _without(kept_schema, ["reason"]).append(pa.field("reason", pa.string()))
    summary = _Summary()
    with results_folder(out, RESULTS) as staging:
        with (
            writing(out),
            (staging / "quarantine.jsonl").open("w", encoding="utf-8") as quarantine,
            ShardWriter(staging, "kept", kept_schema) as kept,
            ShardWriter(staging, "dropped", dropped_schema) as dropped,
        ):
            reject = summary.rejecter(quarantine)
            batches = read_tables(inputs, reject, schema)
            for batch, outcome in _outcomes(batches, corpus, workers):
                whole = _joined(batch, outcome, kept_schema)
                is_kept = outcome.reasons.is_null()
                summary.book(batch, outcome)
                kept.write(whole.filter(is_kept))
                dropped.write(_dropped(whole, outcome.reasons, dropped_schema))
                if progress:
                    progress(batch.num_rows)
        with writing(out):
            for name, columns in (("kept", kept_schema), ("dropped", dropped_schema)):
                if not (staging / f"{name}.parquet").exists():
                    pq.write_table(columns.empty_table(), staging / f"{name}.parquet")
            if not summary.quarantined:
                (staging / "quarantine.jsonl").unlink()
            text = json.dumps(summary.as_json(), ensure_ascii=False, indent=2)
            (staging / "summary.json").write_text(text + "\n", encoding="utf-8")
    return summary.as_json()


class _Summary:
    def __init__(self) -> None:
        self.documents_in = self.documents_kept = self.quarantined = 0
        self.bytes_in = self.bytes_kept = 0
        self.dropped: Counter[str] = Counter()
        self.edits: Counter[str] = Counter()

    def rejecter(self, file: IO[str]) -> Callable[[Rejected], None]:
        def reject(record: Rejected) -> None:
            self.quarantined += 1
            file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")

        return reject

    def book(self, batch: pa.RecordBatch, outcome: Outcome) -> None:
        kept = outcome.documents.filter(outcome.reasons.is_null())
        self.documents_in += batch.num_rows
        self.documents_kept += kept.num_rows
        self.bytes_in += text_bytes(batch)
        self.bytes_kept += text_bytes(kept)
        self.dropped.update(outcome.reasons.drop_null().to_pylist())
        self.edits.update(outcome.edits)

    def as_json(self) -> dict[str, Any]:
        removed = sum(self.edits.values())
        return {
            "documents_in": self.documents_in,
            "documents_kept": self.documents_kept,
            "dropped": dict(sorted(self.dropped.items(), key=lambda item: (-item[1], item[0]))),
            "bytes_in": self.bytes_in,
            "bytes_kept": self.bytes_kept,
            "bytes_dropped": self.bytes_in - self.bytes_kept - removed,
            "edits": dict(sorted(self.edits.items())),
            "quarantined": self.quarantined,
        }


def _documents(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A table's batch as DOCUMENT_SCHEMA: what the kernel looks at, the rest empty."""
    rows = batch.num_rows
    columns: dict[str, pa.Array] = {"id": batch.column("id"), "text": batch.column("text")}
    for name in ("license", "source"):
        if name in batch.schema.names and _is_text(batch.schema.field(name).type):
            columns[name] = batch.column(name).cast(pa.string())
    if "source" in columns:
        columns["source"] = columns["source"].fill_null("")
    for name in ("source", "snapshot", "meta"):
        columns.setdefault(name, pa.array([""] * rows, pa.string()))
    return pa.RecordBatch.from_arrays(
        [columns.get(field.name, pa.nulls(rows, field.type)) for field in DOCUMENT_SCHEMA],
        schema=DOCUMENT_SCHEMA,
    )


def _outcomes(
    batches: Iterable[pa.RecordBatch], corpus: Corpus, workers: int
) -> Iterator[tuple[pa.RecordBatch, Outcome]]:
    """Each batch with the kernel's outcome, in order."""
    if workers == 1:
        kernel = make_kernel(corpus)
        for batch in batches:
            yield batch, kernel(_documents(batch))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (corpus,)) as pool:
        waiting: deque[tuple[pa.RecordBatch, Future[Outcome]]] = deque()
        for batch in batches:
            waiting.append((batch, pool.submit(_run, _documents(batch))))
            if len(waiting) >= workers * _IN_FLIGHT:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()


_kernel: Kernel | None = None


def _start_worker(corpus: Corpus) -> None:
    global _kernel
    exit_with_parent()
    _kernel = make_kernel(corpus)


def _run(documents: pa.RecordBatch) -> Outcome:
    assert _kernel is not None
    return _kernel(documents)


def _joined(batch: pa.RecordBatch, outcome: Outcome, schema: pa.Schema) -> pa.RecordBatch:
    changed = ("text", *COMPUTED)
    return pa.RecordBatch.from_arrays(
        [
            (outcome.documents if field.name in changed else batch).column(field.name)
            for field in schema
        ],
        schema=schema,
    )


def _dropped(whole: pa.RecordBatch, reasons: pa.Array, schema: pa.Schema) -> pa.RecordBatch:
    is_dropped = reasons.is_valid()
    columns = [whole.column(name) for name in schema.names if name != "reason"]
    batch = pa.RecordBatch.from_arrays([*columns, reasons], schema=schema)
    return batch.filter(is_dropped)


def _with_computed(schema: pa.Schema) -> pa.Schema:
    schema = _without(schema, COMPUTED)
    for name in COMPUTED:
        schema = schema.append(DOCUMENT_SCHEMA.field(name))
    return schema


def _without(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in set(names)])


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
