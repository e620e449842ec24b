"""Telling a lexicon the words of chunks, and writing them out: what is done once for each chunk."""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.chunk_tables import (
    INLINE,
    add_chunk,
    chunk_key,
    find_chunk,
    set_words,
)
from tagarela_dagster.corpus.kernels.compile import jit_borrowing
from tagarela_dagster.corpus.kernels.word_tables import WORDS, mix, spread

_HALF, _ONE, _LOW = np.uint64(32), np.uint64(1), np.uint64(0xFFFFFFFF)


@jit_borrowing
def learn(numbers, ends, counts, classes, tables):
    """Give chunks ``numbers`` the words that spaCy found.

    Args:
        ends: where each word of each chunk ends, in bytes from the chunk's start.
        counts: (chunks,) words of each; there must be room for them.
    """
    at, arena = 0, tables.arena
    for k in range(len(numbers)):
        start, size = tables.chunks[numbers[k], 0], tables.chunks[numbers[k], 1]
        first, second, hashed = chunk_key(arena, start, size)
        slot = find_chunk(
            arena, start, size, first, second, hashed, tables.slots, tables.chunks, arena
        )
        set_words(numbers[k], slot, ends[at : at + counts[k]], counts[k], classes, tables)
        at += counts[k]


@jit_borrowing
def insert(data, offsets, tables, numbers):
    """Add chunks without their words; ``numbers`` of those that were there already are -1.

    Args:
        data: the chunks' bytes and PADDING more.
    """
    for row in range(len(offsets) - 1):
        start, size = offsets[row], offsets[row + 1] - offsets[row]
        first, second, hashed = chunk_key(data, start, size)
        slot = find_chunk(
            data, start, size, first, second, hashed, tables.slots, tables.chunks, tables.arena
        )
        numbers[row] = -1
        if slot < 0:
            numbers[row] = add_chunk(data, start, size, first, second, -1 - slot, tables)


@jit_borrowing
def rehash_chunks(old, slots):
    """Fill empty slots with what stood in fewer."""
    mask = np.uint64(len(slots) - 1)
    for k in range(len(old)):
        if old[k, 2] == 0:
            continue
        inline = old[k, 2] >> _HALF <= INLINE
        slot = (spread(old[k, 0], old[k, 1]) if inline else old[k, 1]) & mask
        while slots[slot, 2] != 0:
            slot = (slot + _ONE) & mask
        for j in range(4):
            slots[slot, j] = old[k, j]


@jit_borrowing
def rehash_words(words, counts, slots):
    """Fill empty slots with all words."""
    mask = np.uint64(len(slots) - 1)
    for number in range(counts[WORDS]):
        mixed = mix(words[number, 0])
        slot = mixed & mask
        while slots[slot] != 0:
            slot = (slot + _ONE) & mask
        slots[slot] = ((mixed >> _HALF) << _HALF) | np.uint64(number + 1)


@jit_borrowing
def export(numbers, tables, data, offsets, ends, counts):
    """Write chunks out: their bytes and offsets, and of each word where it ends in its chunk."""
    filled, at = 0, 0
    offsets[0] = 0
    for k in range(len(numbers)):
        start, size = tables.chunks[numbers[k], 0], tables.chunks[numbers[k], 1]
        for i in range(size):
            data[filled + i] = tables.arena[start + i]
        filled += size
        offsets[k + 1] = filled
        counts[k] = tables.chunks[numbers[k], 3]
        first = tables.chunks[numbers[k], 2]
        for j in range(1, counts[k]):
            ends[at] = tables.parts[first + j, 1]
            at += 1
        ends[at] = size
        at += 1
