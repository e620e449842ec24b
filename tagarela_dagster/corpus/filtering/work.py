"""A batch of documents while it is measured: texts that steps edit, signals that they add."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, EDITS, MEASURED_SCHEMA, SIGNALS
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, text_buffers

SETTABLE = ("date", "language", "language_score", "variety", "variety_score")
"""Columns that a step may set."""


class Work:
    """One batch on its way through the steps.

    Attributes:
        batch: DOCUMENT_SCHEMA, as it came in.
        texts: (rows,) the texts as they are now.
        rows: number of documents.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self.rows = batch.num_rows
        self.texts: pa.LargeStringArray = batch.column("text").cast(pa.large_string())
        self._sizes = _sizes(self.texts)
        self._bytes_in = self._sizes
        self._buffers: tuple[Bytes, Offsets] | None = None
        self._removed: dict[str, NDArray[np.int64]] = {}
        self._signals: dict[str, NDArray[np.float32]] = {}
        self._columns: dict[str, pa.Array] = {}

    def column(self, name: str) -> pa.Array:
        """A column as it is now; ``text`` is ``texts``."""
        if name == "text":
            return self.texts
        return self._columns[name] if name in self._columns else self.batch.column(name)

    def buffers(self) -> tuple[Bytes, Offsets]:
        """UTF-8 bytes and (rows + 1,) offsets of the texts as they are now."""
        if self._buffers is None:
            self._buffers = text_buffers(self.texts)
        return self._buffers

    def edit(self, name: str, texts: pa.LargeStringArray) -> None:
        """Replace the texts, and book the bytes that this takes from each document."""
        if name not in EDITS:
            raise KeyError(f"{name} is not among the edits {EDITS}: add it to corpus/document.py")
        sizes = _sizes(texts)
        self._removed[name] = self._removed.get(name, 0) + self._sizes - sizes
        self.texts, self._sizes, self._buffers = texts, sizes, None

    def signal(self, name: str, values: NDArray[Any]) -> None:
        """Set a signal: (rows,) numbers, NaN where it cannot be computed."""
        if name not in SIGNALS:
            raise KeyError(f"{name} is not among the signals: add it to corpus/document.py")
        self._signals[name] = values.astype(np.float32)

    def set(self, name: str, values: pa.Array) -> None:
        """Set one of the columns SETTABLE: (rows,) values."""
        if name not in SETTABLE:
            raise KeyError(f"{name} is not among the columns that a step may set: {SETTABLE}")
        self._columns[name] = values.cast(DOCUMENT_SCHEMA.field(name).type)

    def measured(self) -> pa.RecordBatch:
        """The batch as MEASURED_SCHEMA."""
        made = {
            "quality": self._quality(),
            "bytes_in": pa.array(self._bytes_in, pa.int64()),
            "removed": self._edits(),
        }
        columns = [
            made[field.name] if field.name in made else self.column(field.name).cast(field.type)
            for field in MEASURED_SCHEMA
        ]
        return pa.RecordBatch.from_arrays(columns, schema=MEASURED_SCHEMA)

    def _quality(self) -> pa.StructArray:
        struct = self.batch.column("quality")
        children = []
        for index, name in enumerate(SIGNALS):
            values = self._signals.get(name)
            if values is None:
                # What the source itself says stays.
                children.append(pc.struct_field(struct, index))
            else:
                children.append(pa.array(values, pa.float32(), from_pandas=True))
        fields = list(MEASURED_SCHEMA.field("quality").type)
        return pa.StructArray.from_arrays(children, fields=fields)

    def _edits(self) -> pa.StructArray:
        nothing = np.zeros(self.rows, np.int64)
        children = [pa.array(self._removed.get(name, nothing), pa.int64()) for name in EDITS]
        fields = list(MEASURED_SCHEMA.field("removed").type)
        return pa.StructArray.from_arrays(children, fields=fields)


def measured_bytes(batch: pa.RecordBatch) -> pa.Array:
    """(rows,) UTF-8 bytes of each measured text, from what came in and what edits removed."""
    size = batch.column("bytes_in")
    for index in range(len(EDITS)):
        size = pc.subtract(size, pc.struct_field(batch.column("removed"), index))
    return size


Step = Callable[[Work], None]
"""One measure of a batch. Made once in every process; whatever it looks at, a document's result
depends on that document alone."""


def _sizes(texts: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.binary_length(texts).cast(pa.int64()).to_numpy(zero_copy_only=False))
