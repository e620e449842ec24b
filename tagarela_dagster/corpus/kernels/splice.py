"""Texts with some stretches replaced, without touching the others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, texts_from_buffers


def splice(
    data: Bytes, offsets: Offsets, edits: Iterable[tuple[int, int, int, bytes]]
) -> pa.LargeStringArray:
    """(rows,) texts with each ``(row, start, end, put)``: bytes ``[start, end)`` become ``put``.

    Args:
        edits: in order, within their rows, without overlaps; ``put`` is UTF-8, and the stretch
            begins and ends between characters.
    """
    view = memoryview(data)
    parts: list[bytes | memoryview] = []
    grown = np.zeros(len(offsets), np.int64)
    last = int(offsets[0])
    for row, start, end, put in edits:
        parts += [view[last:start], put]
        grown[row + 1] += len(put) - (end - start)
        last = end
    parts.append(view[last : int(offsets[-1])])
    made = np.frombuffer(b"".join(parts), np.uint8)
    return texts_from_buffers(made, offsets - offsets[0] + np.cumsum(grown))
