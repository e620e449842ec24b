"""Splitting texts into numbered words: at white space as ``str.split``, then by a lexicon."""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.characters import SPACE, decode
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.spacy_chunks import split_chunk
from tagarela_dagster.corpus.kernels.word_tables import (
    CHUNKS,
    HASH_BASE,
    UNKNOWN,
    add_chunk,
    find_chunk,
    has_room,
    hash_bytes,
    mix,
    set_words,
    word_bytes,
)

MAX_CHUNK_CHARACTERS = 2_000
SLICE_CHARACTERS = 250
"""A chunk beyond the bound is split in slices, unlike by spaCy, whose time grows with the square
of a chunk's length (1 s for 2,000 equals signs, 3.5 s for 4,000)."""

DONE, TABLES_FULL, WORDS_FULL = 0, -1, -2
SCRATCH = 4 * MAX_CHUNK_CHARACTERS + 8
"""Bytes of the longest chunk, and a little more."""

_BASE = np.uint64(HASH_BASE)
_HALF, _ONE, _LOW = np.uint64(32), np.uint64(1), np.uint64(0xFFFFFFFF)


@jit
def _take(data, start, end, mixed, kit, tables, scratch, ids, starts, filled, base):
    """Append the words of one chunk; returns how many there are now, or what is full."""
    number = find_chunk(data, start, end, mixed, tables)
    if number < 0:
        if not has_room(tables, end - start):
            return TABLES_FULL
        number = add_chunk(data, start, end, mixed, -1 - number, tables)
        if kit.units.size:
            place, ends = tables.chunks[number, 0], scratch[4]
            count = split_chunk(
                place, place + end - start, kit.classes, tables, kit.units, scratch, ends
            )
            if count and not set_words(number, ends, count, kit.classes, tables):
                tables.chunks[number, 3] = 0
    count, first = tables.chunks[number, 3], tables.chunks[number, 2]
    if count == 0:
        tables.counts[UNKNOWN] += 1
        return filled
    if filled + count > len(ids):
        return WORDS_FULL
    if count == 1:
        ids[filled] = first
        starts[filled] = start - base
        return filled + 1
    for k in range(count):
        word = tables.parts[first + k]
        ids[filled] = word
        starts[filled] = start - base
        start += word_bytes(word, tables)
        filled += 1
    return filled


@jit
def _take_slices(data, start, end, kit, tables, scratch, ids, starts, filled, base):
    """Append the words of a chunk that is too long, slice by slice."""
    while start < end:
        at, characters = start, 0
        while at < end and characters < SLICE_CHARACTERS:
            _, size = decode(data, at, end)
            at += size
            characters += 1
        mixed = mix(hash_bytes(data, start, at))
        filled = _take(data, start, at, mixed, kit, tables, scratch, ids, starts, filled, base)
        if filled < 0:
            return filled
        start = at
    return filled


@jit
def split_text(data, at, end, kit, tables, scratch, ids, starts, filled, base):
    """Append the words of one text to ``ids``; returns how many there are now, or what is full."""
    index, blocks = kit.classes.index, kit.classes.blocks
    # The chunk that is known and one word is looked up here: calls would count references.
    slots, chunks, arena, room = tables.slots, tables.chunks, tables.arena, len(ids)
    mask = np.uint64(len(slots) - 1)
    while at < end:
        start, characters, hashed, size = at, 0, np.uint64(0), 1
        while at < end:
            byte = data[at]
            if byte < 128:
                size = 1
                if blocks[byte] & SPACE:
                    break
                hashed = hashed * _BASE + np.uint64(byte)
            else:
                code, size = decode(data, at, end)
                if blocks[(index[code >> 7] << 7) + (code & 127)] & SPACE:
                    break
                for k in range(size):
                    hashed = hashed * _BASE + np.uint64(data[at + k])
            characters += 1
            at += size
        if at > start and characters <= MAX_CHUNK_CHARACTERS:
            mixed = mix(hashed)
            slot, half, bytes_, word = mixed & mask, mixed >> _HALF, at - start, -1
            while slots[slot] != 0:
                if slots[slot] >> _HALF == half:
                    number = np.int64(slots[slot] & _LOW) - 1
                    if chunks[number, 1] == bytes_:
                        place, k = chunks[number, 0], 0
                        while k < bytes_ and arena[place + k] == data[start + k]:
                            k += 1
                        if k == bytes_:
                            if chunks[number, 3] == 1:
                                word = chunks[number, 2]
                            break
                slot = (slot + _ONE) & mask
            if word >= 0 and filled < room:
                ids[filled] = word
                starts[filled] = start - base
                filled += 1
            else:
                filled = _take(
                    data, start, at, mixed, kit, tables, scratch, ids, starts, filled, base
                )
        elif at > start:
            filled = _take_slices(data, start, at, kit, tables, scratch, ids, starts, filled, base)
        if filled < 0:
            return filled
        at += size
    return filled


@jit
def split_rows(data, offsets, row, stop, kit, tables, scratch, ids, starts, ends):
    """Words of texts ``row`` to ``stop``.

    Args:
        ids: (room,) word numbers. starts: (room,) where each word begins, in bytes from the
            beginning of text ``row``'s batch (``offsets[0]``).
        ends: (rows,) how many words there are after each text, filled up to the returned row.

    Returns:
        The row that is not done (``stop`` when all are), and what is full.
    """
    filled, base = ends[row - 1] if row else np.int64(0), offsets[0]
    while row < stop:
        found = split_text(
            data, offsets[row], offsets[row + 1], kit, tables, scratch, ids, starts, filled, base
        )
        if found < 0:
            return row, found
        filled = found
        ends[row] = filled
        row += 1
    return row, DONE


@jit
def learn(numbers, ends, counts, classes, tables):
    """Give chunks ``numbers`` the words that spaCy found.

    Args:
        ends: where each word of each chunk ends, in bytes from the chunk's start.
        counts: (chunks,) words of each; there must be room for them.
    """
    at = 0
    for k in range(len(numbers)):
        set_words(numbers[k], ends[at : at + counts[k]], counts[k], classes, tables)
        at += counts[k]


@jit
def insert(data, offsets, tables, numbers):
    """Add chunks without their words; ``numbers`` of those that were there already are -1."""
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        mixed = mix(hash_bytes(data, start, end))
        number = find_chunk(data, start, end, mixed, tables)
        numbers[row] = -1
        if number < 0:
            numbers[row] = add_chunk(data, start, end, mixed, -1 - number, tables)


@jit
def rehash(tables):
    """Fill empty slots again with all chunks and words."""
    mask = np.uint64(len(tables.slots) - 1)
    for number in range(tables.counts[CHUNKS]):
        start, size = tables.chunks[number, 0], tables.chunks[number, 1]
        mixed = mix(hash_bytes(tables.arena, start, start + size))
        slot = mixed & mask
        while tables.slots[slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        tables.slots[slot] = ((mixed >> np.uint64(32)) << np.uint64(32)) | np.uint64(number + 1)
    mask = np.uint64(len(tables.word_slots) - 1)
    for number in range(tables.counts[1]):
        mixed = mix(tables.words[number, 0])
        slot = mixed & mask
        while tables.word_slots[slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        entry = ((mixed >> np.uint64(32)) << np.uint64(32)) | np.uint64(number + 1)
        tables.word_slots[slot] = entry


@jit
def export(numbers, tables, data, offsets, ends, counts):
    """Write chunks out: their bytes and offsets, and of each word where it ends in its chunk."""
    filled, at = 0, 0
    offsets[0] = 0
    for k in range(len(numbers)):
        start, size = tables.chunks[numbers[k], 0], tables.chunks[numbers[k], 1]
        data[filled : filled + size] = tables.arena[start : start + size]
        filled += size
        offsets[k + 1] = filled
        counts[k] = tables.chunks[numbers[k], 3]
        end, first = 0, tables.chunks[numbers[k], 2]
        for j in range(counts[k]):
            end += size if counts[k] == 1 else word_bytes(tables.parts[first + j], tables)
            ends[at] = end
            at += 1
