"""Chunks in a lexicon's tables (``kernels.word_tables``): to find and add them and their words."""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.compile import jit_borrowing
from tagarela_dagster.corpus.kernels.word_tables import (
    ARENA,
    CHUNKS,
    PAIR_FIRST,
    PARTS,
    WORDS,
    same_bytes,
    spread,
    word_flags,
    word_number,
)
from tagarela_dagster.corpus.kernels.xxh_memory import load64

_HALF, _ONE, _LOW = np.uint64(32), np.uint64(1), np.uint64(0xFFFFFFFF)

INLINE = 16
"""Bytes of a chunk that a slot itself holds."""
PADDING = 16
"""Bytes that must follow a chunk in its array, because eight are read at once."""

_ALL = 2**64 - 1
_MASKS = np.array(
    [
        (_ALL >> 8 * (8 - min(size, 8)), _ALL >> 8 * (16 - size) if size > 8 else 0)
        for size in range(INLINE + 1)
    ],
    np.uint64,
)
"""Of so many bytes, which bits of the first and of the second eight are theirs."""


@jit_borrowing
def chunk_key(data, start, size):
    """What a slot says of a chunk (first eight bytes; next eight, or hash), and its hash.

    PADDING bytes must follow the chunk.
    """
    first = load64(data, start)
    if size <= INLINE:
        first &= _MASKS[size, 0]
        second = load64(data, start + 8) & _MASKS[size, 1]
        return first, second, spread(first, second)
    value = np.uint64(size)
    for at in range(start, start + size - 8, 8):
        value = spread(value, load64(data, at))
    value = spread(value, load64(data, start + size - 8))
    return first, value, value


@jit_borrowing
def find_chunk(data, start, size, first, second, hashed, slots, chunks, arena):
    """Slot of a chunk, or ``-1 - slot`` of the free one where it belongs."""
    mask = np.uint64(len(slots) - 1)
    slot = hashed & mask
    while True:
        tag = slots[slot, 2]
        if tag == 0:
            return -1 - np.int64(slot)
        if slots[slot, 0] == first and slots[slot, 1] == second and tag >> _HALF == size:
            if size <= INLINE:
                return np.int64(slot)
            place = chunks[np.int64(tag & _LOW) - 1, 0]
            if same_bytes(data, start, arena, place, size):
                return np.int64(slot)
        slot = (slot + _ONE) & mask


@jit_borrowing
def has_room(tables, size):
    """Whether a chunk of ``size`` bytes can be added, whatever words it has."""
    counts = tables.counts
    return (
        counts[CHUNKS] + 1 <= min(len(tables.chunks), len(tables.slots) * 5 // 8)
        and counts[WORDS] + size <= min(len(tables.words), len(tables.word_slots) * 5 // 8)
        and counts[PARTS] + size <= len(tables.parts)
        and counts[ARENA] + size + PADDING <= len(tables.arena)
    )


@jit_borrowing
def add_chunk(data, start, size, first, second, slot, tables):
    """Add a chunk whose words are not known yet; returns its number."""
    number, place = tables.counts[CHUNKS], tables.counts[ARENA]
    arena = tables.arena
    for i in range(size):
        arena[place + i] = data[start + i]
    tables.chunks[number, 0] = place
    tables.chunks[number, 1] = size
    tables.chunks[number, 2] = 0
    tables.chunks[number, 3] = 0
    tables.slots[slot, 0] = first
    tables.slots[slot, 1] = second
    tables.slots[slot, 2] = (np.uint64(size) << _HALF) | np.uint64(number + 1)
    tables.slots[slot, 3] = 0
    tables.counts[CHUNKS] += 1
    tables.counts[ARENA] += size
    return number


@jit_borrowing
def set_words(number, slot, ends, count, classes, tables):
    """Give a chunk its words: ``ends[:count]`` are the bytes of the chunk at which they end.

    Returns whether no two neighbours begin a special case, which only a rule of spaCy's may join.
    """
    place, first = tables.chunks[number, 0], tables.counts[PARTS]
    parts = tables.parts
    start, previous, clear, last = 0, 0, True, 0
    for k in range(count):
        last = word_number(place + start, place + ends[k], classes, tables)
        if k and word_flags(previous, tables) & PAIR_FIRST:
            pair = (previous << 32) | last
            at = np.searchsorted(tables.pairs, pair)
            if at < len(tables.pairs) and tables.pairs[at] == pair:
                clear = False
        parts[first + k, 0] = last
        parts[first + k, 1] = start
        previous, start = last, ends[k]
    if count == 1:
        first = last
    else:
        tables.counts[PARTS] += count
    tables.chunks[number, 2] = first
    tables.chunks[number, 3] = count
    tables.slots[slot, 3] = (np.uint64(count) << _HALF) | np.uint64(first)
    return clear


@jit_borrowing
def forget_words(number, slot, tables):
    """Say of a chunk that its words are not known."""
    tables.chunks[number, 3] = 0
    tables.slots[slot, 3] = 0
