"""Parquet: row groups streamed, only the columns that the mapping names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.delimited import missing_in
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part
from tagarela_dagster.corpus.sources.records import Record, documents, listed, required
from tagarela_dagster.recipe.sources import Mapping

BATCH_ROWS = 256
EXCERPT = 200
MAX_GROUP_BYTES = 2_000_000_000
"""Expanded bytes of the columns of one row group; what its pages declare is what is allocated."""


def read(part: Part) -> Iterator[Document | Rejected]:
    """Documents of a Parquet file.

    A damaged row group is ``corrupt`` and the others are read; a file whose end is missing is
    ``truncated`` as a whole, since its directory stands there.
    """
    mapping = part.source.mapping
    yield from documents(_records(part, mapping), mapping, part.name, part.native_id)


def fields_of(mapping: Mapping) -> list[str]:
    """Every field that a mapping names, required ones first."""
    single = (mapping.title, mapping.url, mapping.date, mapping.variety, mapping.license)
    named = [*required(mapping), *listed(mapping.id), *single, *mapping.meta]
    return list(dict.fromkeys(name for name in named if name))


def _records(part: Part, mapping: Mapping) -> Iterator[Record | Rejected]:
    plain = part.file is not None and part.stream.kind is None
    origin: Any = part.file.path if part.file and plain else pa.BufferReader(part.data())
    size = part.file.bytes if part.file else part.stream.delivered
    try:
        file = pq.ParquetFile(origin)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FormatError("corrupt", f"no Parquet file: {_sentence(error)}", size=size) from error
    with closing(file):
        columns = _columns(file, mapping, size)
        number = 0
        for group in range(file.num_row_groups):
            rows, start = file.metadata.row_group(group).num_rows, number
            declared = _declared_bytes(file, group, columns)
            try:
                if declared > MAX_GROUP_BYTES:
                    raise pa.ArrowInvalid(f"the row group holds {declared} bytes of text")
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
                    for fields in _rows(batch):
                        number += 1
                        where = f"row {number}"
                        if isinstance(fields, Exception):
                            yield _unusable(fields, part.name, where)
                        else:
                            yield Record(fields, number, where)
            except (pa.ArrowException, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                detail = f"{start + rows - number} rows are lost: {_sentence(error)}"
                yield Rejected(part.name, f"row {number + 1}", "corrupt", detail)
                number = start + rows


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | Exception]:
    """Fields of each row, or why Python cannot hold one of them: a Parquet file may have any
    bytes in a column of strings, and dates beyond the year 9999."""
    try:
        found = batch.to_pylist()
    except (ValueError, ArithmeticError, LookupError) as error:
        if batch.num_rows == 1:
            yield error
            return
        for row in range(batch.num_rows):
            yield from _rows(batch.slice(row, 1))
    else:
        yield from found


def _unusable(error: Exception, name: str, where: str) -> Rejected:
    if isinstance(error, UnicodeDecodeError):
        excerpt = error.object[:EXCERPT].decode("utf-8", "replace")
        return Rejected(
            name, where, "encoding", f"not UTF-8: {error.reason}", len(error.object), True, excerpt
        )
    return Rejected(name, where, "bad_value", _sentence(error))


def _columns(file: pq.ParquetFile, mapping: Mapping, size: int) -> list[str]:
    names = file.schema_arrow.names
    missing = [key for key in required(mapping) if missing_in(names, key)]
    if missing:
        raise FormatError(
            "no_field",
            f"no column {missing[0]!r}; there are: {', '.join(names[:12])}"
            " (say in the recipe's 'mapping:' which column is the text)",
            size=size,
        )
    wanted = [name if name in names else name.partition(".")[0] for name in fields_of(mapping)]
    return [name for name in dict.fromkeys(wanted) if name in names]


def _declared_bytes(file: pq.ParquetFile, group: int, columns: list[str]) -> int:
    meta = file.metadata.row_group(group)
    chunks = (meta.column(index) for index in range(meta.num_columns))
    wanted = (c for c in chunks if c.path_in_schema.partition(".")[0] in columns)
    return sum(chunk.total_uncompressed_size for chunk in wanted)


def _sentence(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
