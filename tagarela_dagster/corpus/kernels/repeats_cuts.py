"""Stretches of bytes that are cut out of texts."""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.repeats_marks import KEPT


@jit
def spans(fate: Bytes, found: Offsets) -> int:
    """Stretches of bytes with one fate, but KEPT.

    Args:
        found: (room, 3) first byte, byte after the last, fate; with too little room only counted.
    """
    count, at = 0, 0
    while at < fate.size:
        kind, first = fate[at], at
        while at < fate.size and fate[at] == kind:
            at += 1
        if kind != KEPT:
            if count < len(found):
                found[count, 0], found[count, 1], found[count, 2] = first, at, kind
            count += 1
    return count


@jit
def cut_spans(
    data: Bytes, offsets: Offsets, rows: Offsets, firsts: Offsets, lasts: Offsets
) -> tuple[Bytes, Offsets]:
    """Texts without some stretches of bytes: bytes, and (rows + 1,) offsets.

    Args:
        rows, firsts, lasts: (spans,) row, first byte and byte after the last in the row's text,
            in order and apart from each other.
    """
    out = np.empty(offsets[-1] - offsets[0], np.uint8)
    out_offsets = np.zeros(len(offsets), np.int64)
    size, span = 0, 0
    for row in range(len(offsets) - 1):
        at = offsets[row]
        while span < rows.size and rows[span] == row:
            stop = offsets[row] + firsts[span]
            out[size : size + stop - at] = data[at:stop]
            size += stop - at
            at = offsets[row] + lasts[span]
            span += 1
        out[size : size + offsets[row + 1] - at] = data[at : offsets[row + 1]]
        size += offsets[row + 1] - at
        out_offsets[row + 1] = size
    return out[:size].copy(), out_offsets
