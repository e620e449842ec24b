"""Document shards: Parquet with zstd, row groups bounded by bytes so that readers stream.

Writing: rows collect until a row group holds ``ROW_GROUP_BYTES`` of text; a shard is closed after
``shard_bytes``. Every file appears under its final name only when it is whole; two processes that
write the same shard (one of them was given up for dead) don't disturb each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagarela_dagster.provenance.files import atomic_path, settle, temporary_path
from tagarela_dagster.provenance.manifest import Shard

ROW_GROUP_BYTES = 8_000_000
ROW_GROUP_ROWS = 4_096


class ShardWriter:
    """Write batches of one schema to ``folder/NAME.parquet``, or rolling ``NAME-000.parquet``."""

    def __init__(
        self, folder: Path, name: str, schema: pa.Schema, shard_bytes: int | None = None
    ) -> None:
        self.folder = folder
        self.name = name
        self.schema = schema
        self.shard_bytes = shard_bytes
        self.written: list[tuple[str, int]] = []
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._pending_rows = 0
        self._shard_bytes = 0
        self._shard_rows = 0
        self._writer: pq.ParquetWriter | None = None
        self._path: Path | None = None
        self._temporary: Path | None = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
            self._close()
        elif self._writer and self._temporary:
            self._writer.close()
            self._temporary.unlink(missing_ok=True)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch (any number of rows, none included)."""
        if batch.num_rows == 0:
            return
        size = text_bytes(batch)
        self._pending.append(batch)
        self._pending_bytes += size
        self._pending_rows += batch.num_rows
        if self._pending_bytes >= ROW_GROUP_BYTES or self._pending_rows >= ROW_GROUP_ROWS:
            self._flush()
        if self.shard_bytes and self._shard_bytes + self._pending_bytes >= self.shard_bytes:
            self._flush()
            self._close()

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._writer is None:
            suffix = f"-{len(self.written):03d}" if self.shard_bytes else ""
            self._path = self.folder / f"{self.name}{suffix}.parquet"
            self._temporary = temporary_path(self._path)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._temporary, self.schema, compression="zstd")
        table = pa.Table.from_batches(self._pending, self.schema).combine_chunks()
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._shard_bytes += self._pending_bytes
        self._shard_rows += self._pending_rows
        self._pending, self._pending_bytes, self._pending_rows = [], 0, 0

    def _close(self) -> None:
        if self._writer is None or self._path is None or self._temporary is None:
            return
        self._writer.close()
        settle(self._temporary, self._path)
        self.written.append((self._path.name, self._shard_rows))
        self._writer, self._shard_bytes, self._shard_rows = None, 0, 0


def read_batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Stream a shard, one batch a row group."""
    with pq.ParquetFile(path) as file:
        for index in range(file.num_row_groups):
            table = file.read_row_group(index, columns=columns)
            yield from table.combine_chunks().to_batches()


def write_row_groups(
    data: Path, name: str, schema: pa.Schema, tables: Iterator[pa.Table]
) -> list[Shard]:
    """Write ``data/NAME`` with a row group a table; no file, and no shard, without any table."""
    first = next(tables, None)
    if first is None:
        return []
    rows = 0
    with (
        atomic_path(data / name) as path,
        pq.ParquetWriter(path, schema, compression="zstd") as out,
    ):
        for table in chain([first], tables):
            out.write_table(table, len(table))
            rows += len(table)
    return [Shard.of(data, name, rows)]


def text_bytes(batch: pa.RecordBatch) -> int:
    """UTF-8 bytes of the ``text`` column (0 without one)."""
    if "text" not in batch.schema.names:
        return 0
    return int(pc.sum(pc.binary_length(batch.column("text"))).as_py() or 0)
