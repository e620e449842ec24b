"""Excerpts of texts for language identification, cut from buffers to buffers."""

from __future__ import annotations

from tagarela_dagster.corpus.kernels.characters import decode
from tagarela_dagster.corpus.kernels.compile import jit_borrowing


@jit_borrowing
def count_characters(data, start, end):
    """Code points of ``data[start:end]``."""
    found = 0
    for i in range(start, end):
        found += (data[i] & 0xC0) != 0x80
    return found


@jit_borrowing
def _copy(data, at, end, characters, out, filled, counts):
    """Append up to so many characters, newlines as spaces; counts capitals and letters A to Z."""
    while at < end and characters > 0:
        _, size = decode(data, at, end)
        for k in range(size):
            byte = data[at + k]
            out[filled] = 32 if byte == 10 else byte
            filled += 1
        small = data[at] | 32
        if small >= 97 and small <= 122:
            counts[1] += 1
            counts[0] += small != data[at]
        characters -= 1
        at += size
    return filled, at


@jit_borrowing
def cut_excerpts(data, offsets, window, out, out_offsets, counts):
    """All of a text of up to three windows of characters, else its start, middle and end.

    Args:
        out: 12 * window + 2 bytes for each text. out_offsets: (rows + 1,).
        counts: (rows, 2) zeros; gets capitals A to Z and letters A to Z of each excerpt.
    """
    filled = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        characters = count_characters(data, at, end)
        if characters <= 3 * window:
            filled, at = _copy(data, at, end, characters, out, filled, counts[row])
        else:
            filled, at = _copy(data, at, end, window, out, filled, counts[row])
            middle = (characters - window) // 2 - window
            while middle > 0:
                at += 1
                middle -= (data[at] & 0xC0) != 0x80
            out[filled] = 32
            filled, at = _copy(data, at, end, window, out, filled + 1, counts[row])
            at, last = end, window
            while last > 0:
                at -= 1
                last -= (data[at] & 0xC0) != 0x80
            out[filled] = 32
            filled, at = _copy(data, at, end, window, out, filled + 1, counts[row])
        out_offsets[row + 1] = filled
