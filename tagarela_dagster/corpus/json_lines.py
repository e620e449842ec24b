"""JSON Lines, plain or compressed, as Arrow batches of a given schema.

A column holds one kind of value: text, numbers or truth values. Nested values (objects, arrays)
are kept as JSON text, because their shape may differ from line to line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from tagarela_dagster.corpus.document import Rejected
from tagarela_dagster.corpus.sources.compressed import open_bounded
from tagarela_dagster.corpus.sources.damage import CompressedError
from tagarela_dagster.corpus.sources.stream import MAX_LINE

JSON_LINES = tuple(
    stem + packed for stem in (".jsonl", ".ndjson") for packed in ("", ".gz", ".zst", ".bz2", ".xz")
)
BATCH_ROWS = 512
BATCH_BYTES = 4_000_000
_NESTED = "nested values"
_BEYOND = "integers beyond 64 bits"
_TYPES: dict[Any, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    _NESTED: pa.string(),
}
_INT64 = 1 << 63


def infer_schema(name: str, path: Path) -> pa.Schema:
    """Columns in order of their first appearance; a column without any value has type null.

    Raises:
        ValueError: a column holds values of two kinds.
    """
    kinds: dict[str, tuple[Any, int]] = {}
    for number, row in _rows(name, path, None):
        for key, value in row.items():
            kind = str if key == "id" else _kind(value)
            if kind is _BEYOND:
                raise ValueError(f"{name}: {key!r} in line {number} is beyond 64 bits: quote it")
            known = kinds.get(key)
            if known is None or known[0] is None:
                kinds[key] = (kind, number)
            elif kind is not None and kind != known[0]:
                if {kind, known[0]} != {int, float}:
                    raise ValueError(
                        f"{name}: the column {key!r} holds {_name(known[0])} in line {known[1]} "
                        f"and {_name(kind)} in line {number}: convert it, or leave it out"
                    )
                kinds[key] = (float, number)
    special = {"id": pa.string(), "text": pa.large_string()}
    return pa.schema(
        [
            pa.field(key, special.get(key) or (pa.null() if kind is None else _TYPES[kind]))
            for key, (kind, _) in kinds.items()
        ]
    )


def read_json_lines(
    name: str, path: Path, quarantine: Callable[[Rejected], None], schema: pa.Schema
) -> Iterator[tuple[pa.RecordBatch, Sequence[int]]]:
    """Yield batches of ``schema`` and the line number of each row."""
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    size = 0
    for number, row in _rows(name, path, quarantine):
        rows.append(row)
        numbers.append(number)
        size += len(row.get("text") or "")
        if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield _batch(rows, schema), numbers
            rows, numbers, size = [], [], 0
    if rows:
        yield _batch(rows, schema), numbers


def _rows(
    name: str, path: Path, quarantine: Callable[[Rejected], None] | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of every sound line; the others go to the quarantine."""

    def reject(number: int, reason: str, detail: str, line: bytes = b"") -> None:
        if quarantine:
            excerpt = line[:200].decode("utf-8", "replace")
            quarantine(Rejected(name, f"line {number}", reason, detail, len(line), excerpt=excerpt))

    number = 0
    with open_bounded(path) as stream:
        try:
            while line := stream.readline(MAX_LINE):
                number += 1
                if len(line) == MAX_LINE and not line.endswith(b"\n"):
                    reject(number, "too_large", f"a line of more than {MAX_LINE} bytes", line)
                    while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                    continue
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.strip():
                    continue
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    cut = stream.failure is not None and not line.endswith(b"\n")
                    if not cut:
                        reject(number, "json", str(error), line)
                    continue
                if not isinstance(row, dict):
                    reject(number, "json", "not a JSON object", line)
                elif row.get("text") is not None and not isinstance(row["text"], str):
                    reject(number, "no_text", f"text is {_name(_kind(row['text']))}", line)
                else:
                    yield number, row
        except CompressedError as error:
            reject(number + 1, error.reason, str(error))


def _batch(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            values = [value if isinstance(value, str | None) else _text(value) for value in values]
        columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _kind(value: Any) -> Any:
    if value is None:
        return None
    kind = type(value)
    if kind is int and not -_INT64 <= value < _INT64:
        return _BEYOND
    return kind if kind in _TYPES else _NESTED


def _name(kind: Any) -> str:
    names = {bool: "true or false", int: "integers", float: "floats", str: "text"}
    return names.get(kind, str(kind))
