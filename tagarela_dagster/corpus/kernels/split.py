"""Splitting texts into numbered words: at white space as ``str.split``, then by a lexicon."""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.characters import decode
from tagarela_dagster.corpus.kernels.chunk_tables import (
    INLINE,
    add_chunk,
    chunk_key,
    find_chunk,
    forget_words,
    has_room,
    set_words,
)
from tagarela_dagster.corpus.kernels.compile import jit_borrowing
from tagarela_dagster.corpus.kernels.spacy_chunks import split_chunk
from tagarela_dagster.corpus.kernels.word_counts import space_width
from tagarela_dagster.corpus.kernels.word_tables import UNKNOWN

MAX_CHUNK_CHARACTERS = 2_000
SLICE_CHARACTERS = 250
"""A chunk beyond the bound is split in slices, unlike by spaCy, whose time grows with the square
of a chunk's length (1 s for 2,000 equals signs, 3.5 s for 4,000)."""

DONE, TABLES_FULL, WORDS_FULL, UNKNOWN_WORDS = 0, -1, -2, -3
SCRATCH = 4 * MAX_CHUNK_CHARACTERS + 8
"""Bytes of the longest chunk, and a little more."""

_HALF, _ONE, _LOW = np.uint64(32), np.uint64(1), np.uint64(0xFFFFFFFF)

_KINDS = np.array(
    [
        1 if byte < 128 and chr(byte).isspace() else 2 * (byte in (0xC2, 0xE1, 0xE2, 0xE3))
        for byte in range(256)
    ],
    np.uint8,
)
"""Of each byte: 1 is white space, 2 may begin white space."""


@jit_borrowing
def join_chunks(data, at, end, joined, filled, marks):
    """Write a text without its white space behind ``joined[:filled]``.

    Without a branch at each word, which a processor would mistake: every byte is written, and
    the next one in its place when it was white space.

    Args:
        marks: gets of each chunk where it begins in the text << 32 | in the joined text.

    Returns:
        Number of chunks, and the bytes in ``joined``.
    """
    start, first, count, outside = at, filled, 0, 1
    while at < end:
        byte = data[at]
        kind = _KINDS[byte]
        if kind == 2:
            kind = 0
            width = space_width(data, at, end)
            if width:
                at += width
                outside = 1
                continue
        joined[filled] = byte
        marks[count] = ((at - start) << 32) | (filled - first)
        inside = 1 - np.int64(kind)
        count += inside & outside
        filled += inside
        outside = np.int64(kind)
        at += 1
    marks[count] = filled - first
    return count, filled


@jit_borrowing
def _take(joined, start, size, kit, tables, scratch, ids, starts, filled, place):
    """Append the words of one chunk; returns how many there are now, or what is full."""
    first, second, hashed = chunk_key(joined, start, size)
    slot = find_chunk(
        joined, start, size, first, second, hashed, tables.slots, tables.chunks, tables.arena
    )
    if slot < 0:
        if not has_room(tables, size):
            return TABLES_FULL
        slot = -1 - slot
        number = add_chunk(joined, start, size, first, second, slot, tables)
        if kit.units.size:
            at, ends = tables.chunks[number, 0], scratch[4]
            count = split_chunk(at, at + size, kit.classes, tables, kit.units, scratch, ends)
            if count and not set_words(number, slot, ends, count, kit.classes, tables):
                forget_words(number, slot, tables)
    words = tables.slots[slot, 3]
    count, part = np.int64(words >> _HALF), np.int64(words & _LOW)
    if count == 0:
        tables.counts[UNKNOWN] += 1
        return filled
    if filled + count > len(ids):
        return WORDS_FULL
    if count == 1:
        ids[filled] = part
        starts[filled] = place
        return filled + 1
    for k in range(part, part + count):
        ids[filled] = tables.parts[k, 0]
        starts[filled] = place + tables.parts[k, 1]
        filled += 1
    return filled


@jit_borrowing
def _take_long(joined, start, size, kit, tables, scratch, ids, starts, filled, place):
    """Append the words of a long chunk, slice by slice when it is too long."""
    end, characters = start + size, 0
    for at in range(start, end):
        characters += (joined[at] & 0xC0) != 0x80
    if characters <= MAX_CHUNK_CHARACTERS:
        return _take(joined, start, size, kit, tables, scratch, ids, starts, filled, place)
    while start < end:
        at, characters = start, 0
        while at < end and characters < SLICE_CHARACTERS:
            _, width = decode(joined, at, end)
            at += width
            characters += 1
        size = at - start
        filled = _take(joined, start, size, kit, tables, scratch, ids, starts, filled, place)
        if filled < 0:
            return filled
        place += size
        start = at
    return filled


@jit_borrowing
def _split_text(joined, base, marks, count, kit, tables, scratch, ids, starts, filled, place):
    """Append the words of one text; returns how many there are now, or what is full.

    Args:
        base: where the text begins in ``joined``. marks: of its ``count`` chunks.
        place: from where ``starts`` are counted.
    """
    # What is known and short is looked up here, by code that does nothing else.
    slots, parts, room = tables.slots, tables.parts, len(ids)
    mask = np.uint64(len(slots) - 1)
    for k in range(count):
        mark, following = marks[k], marks[k + 1]
        start = mark & 0xFFFFFFFF
        size = (following & 0xFFFFFFFF) - start
        start += base
        begin = place + (mark >> 32)
        words = np.uint64(0)
        if size <= INLINE:
            first, second, hashed = chunk_key(joined, start, size)
            slot = hashed & mask
            while slots[slot, 2] != 0:
                if (
                    slots[slot, 0] == first
                    and slots[slot, 1] == second
                    and slots[slot, 2] >> _HALF == size
                ):
                    words = slots[slot, 3]
                    break
                slot = (slot + _ONE) & mask
        found = np.int64(words >> _HALF)
        if found == 1 and filled < room:
            ids[filled] = words & _LOW
            starts[filled] = begin
            filled += 1
        elif found and filled + found <= room:
            part = np.int64(words & _LOW)
            for j in range(part, part + found):
                ids[filled] = parts[j, 0]
                starts[filled] = begin + parts[j, 1]
                filled += 1
        elif size <= MAX_CHUNK_CHARACTERS:
            filled = _take(joined, start, size, kit, tables, scratch, ids, starts, filled, begin)
        else:
            filled = _take_long(
                joined, start, size, kit, tables, scratch, ids, starts, filled, begin
            )
        if filled < 0:
            return filled
    return filled


@jit_borrowing
def split_rows(
    data, offsets, row, kit, tables, scratch, marks, joined, joined_ends, ids, starts, ends
):
    """Words of texts from ``row`` on.

    Args:
        marks: (longest text // 2 + 2,) int64: scratch.
        joined: the texts without white space, and PADDING more. joined_ends: (rows,) where each
            ends in it.
        ids: (room,) word numbers. starts: (room,) where each word begins, in bytes from
            ``offsets[0]``.
        ends: (rows,) how many words there are after each text; all filled up to the returned row.

    Returns:
        The row that is not done (as many as there are when all are), and what is missing.
    """
    rows = len(offsets) - 1
    filled = ends[row - 1] if row else np.int64(0)
    used = joined_ends[row - 1] if row else np.int64(0)
    while row < rows:
        place = offsets[row] - offsets[0]
        count, last = join_chunks(data, offsets[row], offsets[row + 1], joined, used, marks)
        tables.counts[UNKNOWN] = 0
        found = _split_text(
            joined, used, marks, count, kit, tables, scratch, ids, starts, filled, place
        )
        if found < 0:
            return row, found
        if tables.counts[UNKNOWN]:
            return row, UNKNOWN_WORDS
        filled, used = found, last
        ends[row], joined_ends[row] = filled, used
        row += 1
    return row, DONE
