"""Who speaks, at the head of a line of a transcript: ``O SR. PRESIDENTE (Fulano):``, ``JOÃO:``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit_borrowing

MAX_BYTES = 160
"""Longest tag, from the first letter to the colon."""
MAX_WORDS = 8
"""Most words outside brackets."""


def speaker_tags(data: Bytes, offsets: Offsets) -> NDArray[np.int64]:
    """(3, tags) row, first byte and end of each tag, with the dash and the spaces around it.

    A tag is all capitals but for what stands in brackets, or begins with ``O Sr`` or ``A Sr``;
    it has no digit and ends in a colon.
    """
    room = 1024 + len(data) // 512
    while True:
        found = np.empty((3, room), np.int64)
        count = _tags(data, offsets, found)
        if count <= room:
            return found[:, :count]
        room = count


@jit_borrowing
def _skip(data, i, end):
    """Past spaces and dashes."""
    while i < end:
        if data[i] == 32 or data[i] == 9 or data[i] == 45:
            i += 1
        elif (
            data[i] == 0xE2 and i + 2 < end and data[i + 1] == 0x80 and 0x93 <= data[i + 2] <= 0x95
        ):
            i += 3
        else:
            break
    return i


@jit_borrowing
def _tag_end(data, i, end):
    """Behind the colon of a tag that begins at ``i``, or -1."""
    titled = i + 3 < end and (data[i] == 79 or data[i] == 65) and data[i + 1] == 32
    titled = titled and data[i + 2] == 83 and (data[i + 3] == 82 or data[i + 3] == 114)
    depth, upper, words = 0, 0, 1
    for k in range(i, min(end, i + MAX_BYTES)):
        byte = data[k]
        if byte == 10:
            return -1
        if byte == 40:
            depth += 1
        elif byte == 41:
            depth -= 1
        elif depth > 0:
            continue
        elif byte == 58:
            return k + 1 if upper >= 2 and words <= MAX_WORDS else -1
        elif byte == 32:
            words += 1
        elif 65 <= byte <= 90 or (byte == 0xC3 and k + 1 < end and data[k + 1] < 0xA0):
            upper += 1
        elif 48 <= byte <= 57:
            return -1
        elif 97 <= byte <= 122 or byte == 0xC3:
            if not titled:
                return -1
        elif byte < 0x80 and not (byte == 46 or byte == 45 or byte == 39):
            return -1
    return -1


@jit_borrowing
def _tags(data, offsets, found):
    count = 0
    room = found.shape[1]
    for row in range(len(offsets) - 1):
        i, end = offsets[row], offsets[row + 1]
        while i < end:
            begin = i
            i = _skip(data, i, end)
            # One tag may follow another: "O SR. RELATOR: JOÃO:".
            while i < end and (65 <= data[i] <= 90 or data[i] == 0xC3):
                stop = _tag_end(data, i, end)
                if stop < 0:
                    break
                i = _skip(data, stop, end)
                if count < room:
                    found[0, count], found[1, count], found[2, count] = row, begin, i
                count += 1
                begin = i
            while i < end and data[i] != 10:
                i += 1
            i += 1
    return count
