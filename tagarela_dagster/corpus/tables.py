"""Anybody's Parquet and JSONL files as one stream of Arrow batches with ``id`` and ``text``.

The command line takes files that no reader of the recipe knows: a ``text`` column, perhaps an
``id``, and other columns that must survive. Several inputs are read as one table whose schema is
the union of theirs. Only a batch is in memory; a record that cannot be read is given to the
quarantine with its file, place and reason, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagarela_dagster.corpus.document import Rejected
from tagarela_dagster.corpus.json_lines import JSON_LINES, infer_schema, read_json_lines
from tagarela_dagster.corpus.shards import text_bytes

BATCH_ROWS = 256
PARQUET = (".parquet",)
Quarantine = Callable[[Rejected], None]


class TableError(ValueError):
    """Inputs that cannot be read as one table; the message says what to do."""


def ignore(record: Rejected) -> None:
    """Quarantine of a second pass over records that the first one has reported."""


def find_tables(paths: Path | Sequence[Path]) -> list[tuple[str, Path]]:
    """Files to read, with the names they are reported under; folders give theirs in name order.

    Raises:
        TableError: a path does not exist, or there is nothing to read.
    """
    found: list[tuple[str, Path]] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file() and _is_table(p, path))
            found += [(p.relative_to(path).as_posix(), p) for p in files]
            if not files:
                raise TableError(f"{path} holds no {_suffixes()} file")
        elif not path.exists():
            raise TableError(f"{path} does not exist")
        elif not _is_table(path, path.parent):
            raise TableError(f"{path} is neither Parquet nor JSONL: name it {_suffixes()}")
        else:
            found.append((path.name, path))
    return found


def check_outside(paths: Path | Sequence[Path], out: Path) -> None:
    """Raise TableError when ``out`` lies in an input folder: its results would be read as input."""
    for path in [paths] if isinstance(paths, Path) else paths:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise TableError(f"the results' folder {out} lies in the input {path}: choose another")


def table_schema(paths: Path | Sequence[Path]) -> pa.Schema:
    """Union of the inputs' columns: ``id`` (string), ``text`` (large_string) and the others.

    JSON Lines are read once for it. Their nested values become JSON text, integers and floats of
    one column become floats. Files that are damaged as a whole count for nothing here;
    ``read_tables`` reports them.

    Raises:
        TableError: a column has types in two inputs that have no common type, or ``text`` is not
            text.
    """
    union = pa.schema([pa.field("id", pa.string()), pa.field("text", pa.large_string())])
    for name, path in find_tables(paths):
        try:
            schema = _own_schema(name, path)
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            continue
        except ValueError as error:
            raise TableError(str(error)) from None
        for field in schema:
            kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            if field.name == "text" and not _is_text(kind):
                raise TableError(f"{name}: the column text is {kind}, not text")
            known = union.field(field.name).type if field.name in union.names else kind
            kind = {"id": pa.string(), "text": pa.large_string()}.get(field.name, kind)
            try:
                union = pa.unify_schemas(
                    [union, pa.schema([pa.field(field.name, kind)])], promote_options="permissive"
                )
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                raise TableError(
                    f"{name}: the column {field.name!r} is {kind} here and {known} before: "
                    "convert it, or leave it out"
                ) from None
    return union


def read_tables(
    paths: Path | Sequence[Path], quarantine: Quarantine, schema: pa.Schema | None = None
) -> Iterator[pa.RecordBatch]:
    """Stream the inputs in order; batches have ``schema`` (default: ``table_schema(paths)``).

    A row without text is quarantined (empty text is text). A row without ``id`` gets
    ``FILE:N``, N being its line or row, from 1. Ids are not made unique here.

    Raises:
        TableError: see ``table_schema``.
    """
    schema = schema or table_schema(paths)
    for name, path in find_tables(paths):
        if path.name.endswith(PARQUET):
            pieces = _read_parquet(name, path, quarantine, schema)
        else:
            pieces = read_json_lines(name, path, quarantine, schema)
        for batch, numbers in pieces:
            yield _sound(batch, numbers, name, quarantine)


def _sound(
    batch: pa.RecordBatch, numbers: Sequence[int], name: str, quarantine: Quarantine
) -> pa.RecordBatch:
    """Rows with text; rows without ``id`` get one."""
    ids, texts = batch.column("id"), batch.column("text")
    if ids.null_count:
        made = pa.array([f"{name}:{number}" for number in numbers], pa.string())
        ids = pc.coalesce(ids, made)
        batch = batch.set_column(batch.schema.get_field_index("id"), batch.schema.field("id"), ids)
    bad = dict.fromkeys(pc.indices_nonzero(texts.is_null()).to_pylist(), "no_text")
    bad |= dict.fromkeys(_not_utf8(texts), "encoding")
    for row in sorted(bad):
        detail = "no text in it" if bad[row] == "no_text" else "the text is not UTF-8"
        quarantine(Rejected(name, f"record {numbers[row]}", bad[row], detail))
    if bad:
        batch = batch.filter(pa.array([row not in bad for row in range(batch.num_rows)]))
    return batch


def _not_utf8(texts: pa.Array) -> list[int]:
    """Rows whose bytes are no text: Parquet files are read without a look at them."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return [row for row, value in enumerate(texts.cast(pa.large_binary())) if _broken(value)]
    return []


def _broken(value: pa.LargeBinaryScalar) -> bool:
    try:
        (value.as_py() or b"").decode()
    except UnicodeDecodeError:
        return True
    return False


def _own_schema(name: str, path: Path) -> pa.Schema:
    schema = pq.read_schema(path) if path.name.endswith(PARQUET) else infer_schema(name, path)
    if len(set(schema.names)) < len(schema.names):
        raise TableError(f"{name}: two columns have the same name")
    # A JSON Lines file without any sound line has no columns at all; its lines are quarantined.
    if "text" not in schema.names and schema.names:
        raise TableError(f"{name} has no column 'text': {', '.join(schema.names[:10])}")
    return schema


def _read_parquet(
    name: str, path: Path, quarantine: Quarantine, schema: pa.Schema
) -> Iterator[tuple[pa.RecordBatch, Sequence[int]]]:
    """A damaged row group, or a damaged file, is quarantined; the other row groups are read."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        size = path.stat().st_size
        quarantine(Rejected(name, "byte 0", "damaged", _sentence(error), size))
        return
    with file:
        start = 1
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            at = start
            try:
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[group]):
                    for piece in _bounded(_fit(batch, schema)):
                        yield piece, range(at, at + piece.num_rows)
                        at += piece.num_rows
            except (pa.ArrowException, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                left = start + rows - at
                detail = f"{left} rows are lost: {_sentence(error)}"
                quarantine(Rejected(name, f"record {at}", "damaged", detail))
            start += rows


def _fit(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        batch.column(field.name).cast(field.type)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _bounded(batch: pa.RecordBatch, size: int = 8_000_000) -> Iterator[pa.RecordBatch]:
    """Split a batch with very long texts, so that kernels see batches of like size."""
    if batch.num_rows > 1 and text_bytes(batch) > size:
        half = batch.num_rows // 2
        yield from _bounded(batch.slice(0, half), size)
        yield from _bounded(batch.slice(half), size)
    else:
        yield batch


def _is_table(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    return not hidden and path.name.lower().endswith((*PARQUET, *JSON_LINES))


def _suffixes() -> str:
    return " or ".join((*PARQUET, *JSON_LINES))


def _is_text(kind: pa.DataType) -> bool:
    views = pa.types.is_string_view(kind) or pa.types.is_null(kind)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or views)


def _sentence(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
