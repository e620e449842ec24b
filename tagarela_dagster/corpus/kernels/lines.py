"""Line signals of a document in one pass over its bytes.

Lines are those of the rule that asks: Gopher quality uses ``str.splitlines``, FineWeb and Gopher
repetition split at newlines.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.characters import BREAK, SPACE, TERMINAL, decode
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.word_tables import HASH_BASE, mix, same_bytes

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
"""What :func:`count_lines` counts, in order."""
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


@jit
def count_newlines(data, start, end):
    """Newlines in ``data[start:end]``."""
    found = 0
    for i in range(start, end):
        found += data[i] == 10
    return found


@jit
def ends_in_ellipsis(data, start, end):
    """Whether ``data[start:end]`` ends in three dots or in an ellipsis."""
    if end - start < 3:
        return False
    a, b, c = data[end - 3], data[end - 2], data[end - 1]
    return (a == 46 and b == 46 and c == 46) or (a == 0xE2 and b == 0x80 and c == 0xA6)


@jit
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


@jit
def count_lines(data, start, end, classes, slots, places, counts):
    """Count LINE_COUNTS of the text ``data[start:end]`` into ``counts``.

    Args:
        slots: (power of 2, more than lines) uint64 of zeros; places: (lines, 2) int64: scratch.
    """
    index, blocks = classes.index, classes.blocks
    mask = np.uint64(len(slots) - 1)
    characters = newlines = hashes = ellipses = dots = lines = duplicates = 0
    visible_lines = punctuated = short = duplicate_characters = 0
    split_lines = bullets = ellipsis_lines = 0
    # The line between newlines: where it begins, its hash and characters.
    line, hashed, line_characters, line_visible = start, np.uint64(0), 0, False
    # The line of str.splitlines: where it begins and where its last visible character ends.
    split, visible_end, bits = start, start, np.uint32(0)
    at = start
    while at <= end:
        if at == end or data[at] == 10:
            if at > line:
                if is_new_line(data, line, at, mix(hashed), slots, mask, places, lines):
                    lines += 1
                else:
                    duplicates += 1
                    if line_visible:
                        duplicate_characters += line_characters
                if line_visible:
                    visible_lines += 1
                    punctuated += bits & TERMINAL != 0
                    short += line_characters <= SHORT_LINE
            if at == end:
                break
            newlines += 1
            characters += line_characters + 1
            line, hashed, line_characters, line_visible = at + 1, np.uint64(0), 0, False
            size, code, bits = 1, 10, blocks[10]
        else:
            code, size = np.int64(data[at]), 1
            if code < 128:
                bits = blocks[code]
                hashed = hashed * _BASE + np.uint64(code)
            else:
                code, size = decode(data, at, end)
                bits = blocks[(index[code >> 7] << 7) + (code & 127)]
                for k in range(size):
                    hashed = hashed * _BASE + np.uint64(data[at + k])
            line_characters += 1
        if bits & SPACE:
            dots = 0
            if bits & BREAK and not (code == 13 and at + 1 < end and data[at + 1] == 10):
                split_lines += 1
                ellipsis_lines += ends_in_ellipsis(data, split, visible_end)
                split = visible_end = at + size
        else:
            line_visible = True
            if visible_end == split:
                bullets += code == 0x2022 or code == 45
            visible_end = at + size
            if code == 46:
                dots += 1
                if dots == 3:
                    ellipses += 1
                    dots = 0
            else:
                dots = 0
                hashes += code == 35
                ellipses += code == 0x2026
        at += size
    if split < end:
        split_lines += 1
        ellipsis_lines += ends_in_ellipsis(data, split, visible_end)
    counts[CHARACTERS] = characters + line_characters
    counts[NEWLINES], counts[HASHES], counts[ELLIPSES] = newlines, hashes, ellipses
    # Between runs of newlines; one before the first and after the last newline are empty lines.
    empty = 0
    if end > start:
        empty = (data[start] == 10) + (data[end - 1] == 10)
    counts[LINES] = lines + duplicates + empty
    counts[DUPLICATE_LINES] = duplicates + (empty == 2)
    counts[VISIBLE_LINES], counts[PUNCTUATED_LINES] = visible_lines, punctuated
    counts[SHORT_LINES], counts[DUPLICATE_CHARACTERS] = short, duplicate_characters
    counts[SPLIT_LINES], counts[BULLET_LINES] = split_lines, bullets
    counts[ELLIPSIS_LINES] = ellipsis_lines
