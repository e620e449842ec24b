"""Lines of a document, as the rules look at them when one ends.

Lines are those of the rule that asks: Gopher quality and C4 use ``str.splitlines``, FineWeb and
Gopher repetition split at newlines. ``kernels.text_pass`` finds where they end.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.characters import SPACE, TERMINAL, class_of, decode
from tagarela_dagster.corpus.kernels.compile import jit_borrowing
from tagarela_dagster.corpus.kernels.word_tables import HASH_BASE, mix, same_bytes, spread
from tagarela_dagster.corpus.kernels.xxh_memory import load64

SHORT_LINE = 30
"""Characters of a short line at most (FineWeb's ``short_line_length``)."""

LINE_COUNTS = (
    "characters",
    "newlines",
    "hashes",
    "ellipses",
    "lines",
    "duplicate_lines",
    "visible_lines",
    "punctuated_lines",
    "short_lines",
    "duplicate_characters",
    "split_lines",
    "bullet_lines",
    "ellipsis_lines",
)
"""What is counted of a document's lines, in order."""
(
    CHARACTERS,
    NEWLINES,
    HASHES,
    ELLIPSES,
    LINES,
    DUPLICATE_LINES,
    VISIBLE_LINES,
    PUNCTUATED_LINES,
    SHORT_LINES,
    DUPLICATE_CHARACTERS,
    SPLIT_LINES,
    BULLET_LINES,
    ELLIPSIS_LINES,
) = range(len(LINE_COUNTS))

_BASE = np.uint64(HASH_BASE)
_HALF, _ONE, _LOW = np.uint64(32), np.uint64(1), np.uint64(0xFFFFFFFF)


@jit_borrowing
def count_newlines(data, start, end):
    """Newlines in ``data[start:end]``."""
    found = 0
    for i in range(start, end):
        found += data[i] == 10
    return found


@jit_borrowing
def ends_in_ellipsis(data, start, end):
    """Whether ``data[start:end]`` ends in three dots or in an ellipsis."""
    if end - start < 3:
        return False
    a, b, c = data[end - 3], data[end - 2], data[end - 1]
    return (a == 46 and b == 46 and c == 46) or (a == 0xE2 and b == 0x80 and c == 0xA6)


@jit_borrowing
def is_new_line(data, start, end, mixed, slots, mask, places, number):
    """Whether a line (not empty) stands here for the first time; remembers it as ``number``."""
    half, slot = mixed >> _HALF, mixed & mask
    while True:
        entry = slots[slot]
        if entry == 0:
            slots[slot] = (half << _HALF) | np.uint64(number + 1)
            places[number, 0] = start
            places[number, 1] = end
            return True
        if entry >> _HALF == half:
            other = np.int64(entry & _LOW) - 1
            first = places[other, 0]
            if places[other, 1] - first == end - start and same_bytes(
                data, first, data, start, end - start
            ):
                return False
        slot = (slot + _ONE) & mask


@jit_borrowing
def hash_line(data, start, end):
    """A hash of ``data[start:end]``; nothing beyond is read."""
    value = np.uint64(end - start)
    if end - start < 8:
        for i in range(start, end):
            value = value * _BASE + np.uint64(data[i])
        return mix(value)
    for i in range(start, end - 8, 8):
        value = spread(value, load64(data, i))
    return spread(value, load64(data, end - 8))


@jit_borrowing
def skip_spaces(data, at, end, classes):
    """Where the first character that is no white space begins, and how many were skipped."""
    skipped = 0
    while at < end:
        code, size = decode(data, at, end)
        if not class_of(code, classes) & SPACE:
            break
        at += size
        skipped += 1
    return at, skipped


@jit_borrowing
def last_character(data, start, end, classes):
    """Where the last character of ``data[start:end]`` begins, and its class bits."""
    last = end - 1
    while last > start and data[last] & 0xC0 == 0x80:
        last -= 1
    code, _ = decode(data, last, end)
    return last, class_of(code, classes)


@jit_borrowing
def strip(data, start, end, classes):
    """``data[start:end]`` without white space at its ends."""
    start = skip_spaces(data, start, end, classes)[0]
    while start < end:
        last, bits = last_character(data, start, end, classes)
        if not bits & SPACE:
            break
        end = last
    return start, end


@jit_borrowing
def end_line(data, start, end, characters, classes, slots, places, counts):
    """Count a line between newlines, which is not empty.

    Args:
        characters: how many it has.
        slots: (power of 2, more than lines) uint64, zeros at first; places: (lines, 2) int64.
    """
    visible = skip_spaces(data, start, end, classes)[0] < end
    mask, hashed = np.uint64(len(slots) - 1), hash_line(data, start, end)
    if is_new_line(data, start, end, hashed, slots, mask, places, counts[LINES]):
        counts[LINES] += 1
    else:
        counts[DUPLICATE_LINES] += 1
        if visible:
            counts[DUPLICATE_CHARACTERS] += characters
    if visible:
        counts[VISIBLE_LINES] += 1
        counts[PUNCTUATED_LINES] += last_character(data, start, end, classes)[1] & TERMINAL != 0
        counts[SHORT_LINES] += characters <= SHORT_LINE


@jit_borrowing
def end_split_line(data, start, first, last, counts):
    """Count a line of ``str.splitlines`` that begins at ``start``; stripped, it is from ``first``
    to ``last``."""
    counts[SPLIT_LINES] += 1
    if first == last:
        return
    counts[ELLIPSIS_LINES] += ends_in_ellipsis(data, start, last)
    code, _ = decode(data, first, last)
    counts[BULLET_LINES] += code == 0x2022 or code == 45


@jit_borrowing
def end_lines(data, start, end, counts):
    """Add the empty lines: before the first and behind the last newline of a text, for between
    the others runs of newlines are one."""
    counts[LINES] += counts[DUPLICATE_LINES]
    if end > start:
        empty = (data[start] == 10) + (data[end - 1] == 10)
        counts[LINES] += empty
        counts[DUPLICATE_LINES] += empty == 2
