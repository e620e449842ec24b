"""Texts as kernels see them: one array of UTF-8 bytes and where each text begins and ends."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

Values = TypeVar("Values", bound=NDArray[Any])


def read_only(array: Values) -> Values:
    """A view that cannot be written to, as of Arrow's own buffers: kernels are compiled once more
    for arrays that can."""
    view = array.view()
    view.flags.writeable = False
    return view


_NOTHING, _NO_OFFSETS = read_only(np.zeros(0, np.uint8)), read_only(np.zeros(1, np.int64))


def text_buffers(column: pa.Array | pa.ChunkedArray) -> tuple[Bytes, Offsets]:
    """Bytes and offsets of a string column, without copying the bytes.

    Args:
        column: (rows,) of any string or binary type; a slice is read as the slice. A null is an
            empty text.

    Returns:
        ``data`` and (rows + 1,) ``offsets``: text ``i`` is ``data[offsets[i]:offsets[i + 1]]``.
        Neither can be written to.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if column.null_count:
        column = column.fill_null("")
    if not (pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)):
        is_binary = pa.types.is_binary(column.type)
        column = column.cast(pa.large_binary() if is_binary else pa.large_string())
    _, offsets, data = column.buffers()
    if len(column) == 0 or offsets is None:
        return _NOTHING, _NO_OFFSETS
    starts = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return read_only(np.frombuffer(data, np.uint8)) if data else _NOTHING, read_only(starts)


def texts_from_buffers(data: Bytes, offsets: Offsets) -> pa.LargeStringArray:
    """(rows,) texts from bytes, which must be valid UTF-8, and (rows + 1,) offsets."""
    rows = len(offsets) - 1
    return pa.LargeStringArray.from_buffers(
        rows, pa.py_buffer(np.ascontiguousarray(offsets, np.int64)), pa.py_buffer(data)
    )
