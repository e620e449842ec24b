"""datatrove's ``simplify_text`` over UTF-8 bytes, compiled, as far as a table can give it.

What a code point becomes does not depend on its neighbours, but for numbers (a small automaton
here) and for a few characters that normalisation may move or whose lower case depends on what
follows; a text with one of those is left to Python, and so is one that is not valid UTF-8. The
tables are made from Python's own ``str.lower`` and ``unicodedata``: corpus/dedup/normalize.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.xxh_memory import (
    leading_zeros,
    load64,
    store64,
    trailing_zeros,
)

SPACE = np.uint32(1 << 31)
"""An entry's flags: the character becomes a space."""
DIGIT = np.uint32(1 << 30)
SEPARATOR = np.uint32(1 << 29)
"""Between two digits it belongs to the number."""
UNKNOWN = np.uint32(1 << 28)
"""Only Python can tell."""
SAME = np.uint32(1 << 27)
"""The character stays as it is; without this flag it becomes ``pool[place:place + length]``."""
PLACE_BITS = 5
"""Low bits of an entry hold the length in bytes, those above where it stands in the pool."""

SMALL = 0x800
"""Code points of one or two bytes."""
EXPANSION = 3
"""A text's bytes grow at most so many times (a Hangul syllable: 3 bytes to three times 3)."""

_HIGH_BITS = np.uint64(0x8080808080808080)
_SPACES = np.uint64(0x2020202020202020)
_FROM_A = np.uint64(0x0101010101010101 * (0x80 - ord("a")))
_AFTER_Z = np.uint64(0x0101010101010101 * (0x7F - ord("z")))
_LENGTH_MASK = np.uint32((1 << PLACE_BITS) - 1)
_PLACE_MASK = np.uint32((1 << 27) - 1)


@jit
def _decode(data: Bytes, place: int, end: int) -> Any:
    """Code point at ``place`` and its bytes; code point -1 where it is not UTF-8."""
    first = np.int64(data[place])
    if first < 0x80:
        return first, 1
    if first < 0xC2 or first > 0xF4:
        return -1, 1
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if place + size > end:
        return -1, 1
    code = first & (0x7F >> size)
    for offset in range(1, size):
        byte = np.int64(data[place + offset])
        if byte & 0xC0 != 0x80:
            return -1, 1
        code = code << 6 | (byte & 0x3F)
    return (code if code < 0x110000 else -1), size


@jit
def _entry(pages: NDArray[np.uint16], entries: NDArray[np.uint32], code: int) -> Any:
    if code < 0:
        return UNKNOWN
    return entries[(np.int64(pages[code >> 8]) << 8) | (code & 0xFF)]


@jit
def normalize_texts(
    data: Bytes,
    offsets: Offsets,
    numbers: bool,
    small: Bytes,
    pages: NDArray[np.uint16],
    entries: NDArray[np.uint32],
    pool: Bytes,
    out: Bytes,
    out_offsets: Offsets,
    unknown: NDArray[np.bool_],
    hard_starts: Offsets,
    hard_ends: Offsets,
) -> int:
    """Write each text's chunks, a space between, to ``out``; return how many chunks are hard.

    A chunk is hard unless it has letters a to z alone or is the number ``0``: its words have to
    be asked for. A text with ``unknown`` is left empty.

    Args:
        numbers: numbers become ``0``; else they stay as they are.
        small: (0x800,) what the first code points become: a letter a to z, a space, or 0 for
            anything else.
        pages: (0x1100,) the page of each run of 256 code points.
        entries: (pages * 256,) flags, place and length.
        out: at least EXPANSION times the bytes of the texts.
        out_offsets: (rows + 1,) written.
        unknown: (rows,) written.
        hard_starts: where in ``out`` each hard chunk starts, room for a chunk every two bytes.
        hard_ends: where it ends.
    """
    size, hard = 0, 0
    for row in range(len(offsets) - 1):
        place, end = offsets[row], offsets[row + 1]
        out_offsets[row] = size
        first_hard, chunk, letters = hard, size, True
        unknown[row] = False
        while place < end:
            if place + 8 <= end:
                # Letters and single spaces, nearly all there is, are done by eights up to the
                # first other character: a space counts as other where nothing is to end.
                word = load64(data, place)
                lower = word | _SPACES
                spaces = _equal_to_space(word)
                plain = _letters(lower) | spaces
                doubled = spaces << np.uint64(8)
                if size == chunk:
                    doubled |= np.uint64(0x80)
                if not letters:
                    doubled = spaces
                other = ~(plain & ~(spaces & doubled)) & _HIGH_BITS
                count = trailing_zeros(other) >> 3
                store64(out, size, lower)
                if count < 8:
                    spaces &= (np.uint64(1) << np.uint64(8 * count)) - np.uint64(1)
                if spaces:
                    chunk = size + 8 - (leading_zeros(spaces) >> 3)
                size += count
                place += count
                if count == 8:
                    continue
            first = np.int64(data[place])
            second = np.int64(data[place + 1]) if place + 1 < end else 0
            of_two = 0xC2 <= first < 0xE0 and second & 0xC0 == 0x80
            code = (first & 0x1F) << 6 | (second & 0x3F) if of_two else first & 0x7F
            to = small[code] if of_two or first < 0x80 else 0
            if to >= 0x61 or (to == 0x20 and letters):
                # Marks and letters with accents come too often to branch on which it is.
                out[size] = to
                size += to != 0x20 or size > chunk
                chunk = size if to == 0x20 else chunk
                place += 1 + of_two
                continue
            code, count = _decode(data, place, end)
            flags = _entry(pages, entries, code)
            place += count
            if numbers and flags & DIGIT:
                place = _after_number(data, place, end, pages, entries)
                out[size] = 0x30
                size += 1
                letters = False
            elif flags & SPACE:
                hard += _note(out, chunk, size, letters, hard_starts, hard_ends, hard)
                if size > chunk:
                    out[size] = 0x20
                    size += 1
                chunk, letters = size, True
            elif flags & UNKNOWN:
                unknown[row] = True
                break
            elif flags & SAME:
                for offset in range(count):
                    out[size + offset] = data[place - count + offset]
                size += count
                letters = False
            else:
                length = np.int64(flags & _LENGTH_MASK)
                start = np.int64((flags & _PLACE_MASK) >> np.uint32(PLACE_BITS))
                for offset in range(length):
                    to = pool[start + offset]
                    out[size + offset] = to
                    letters &= 0x61 <= to <= 0x7A
                size += length
        if unknown[row]:
            size, hard = out_offsets[row], first_hard
            continue
        hard += _note(out, chunk, size, letters, hard_starts, hard_ends, hard)
        if size == chunk and size > out_offsets[row]:
            size -= 1  # the space after the last chunk
    out_offsets[len(offsets) - 1] = size
    return hard


@jit
def _letters(word: Any) -> Any:
    """High bit of every byte of ``word`` that is a letter a to z."""
    low = word & ~_HIGH_BITS
    return (low + _FROM_A) & ~(low + _AFTER_Z) & ~word & _HIGH_BITS


@jit
def _equal_to_space(word: Any) -> Any:
    """High bit of every byte of ``word`` that is a space."""
    differs = word ^ _SPACES
    return ~(((differs & ~_HIGH_BITS) + ~_HIGH_BITS) | differs) & _HIGH_BITS


@jit
def _note(
    out: Bytes,
    chunk: int,
    end: int,
    letters: bool,
    hard_starts: Offsets,
    hard_ends: Offsets,
    hard: int,
) -> int:
    """Note ``out[chunk:end]`` if it is a hard chunk; return whether it is."""
    if letters or end == chunk or (end == chunk + 1 and out[chunk] == 0x30):
        return 0
    hard_starts[hard], hard_ends[hard] = chunk, end
    return 1


@jit
def _after_number(
    data: Bytes,
    place: int,
    end: int,
    pages: NDArray[np.uint16],
    entries: NDArray[np.uint32],
) -> int:
    r"""Where the number goes on to, after its first digit: ``\p{Nd}*([.,،٫⎖⎗⎘]\p{Nd}+)?``."""
    separated = False
    while place < end:
        code, size = _decode(data, place, end)
        flags = _entry(pages, entries, code)
        if flags & DIGIT:
            place += size
        elif flags & SEPARATOR and not separated and place + size < end:
            following, length = _decode(data, place + size, end)
            if not _entry(pages, entries, following) & DIGIT:
                return place
            place += size + length
            separated = True
        else:
            return place
    return place


@jit
def hard_chunks(data: Bytes, offsets: Offsets, hard_starts: Offsets, hard_ends: Offsets) -> int:
    """Note the hard chunks of texts that are normalised already; return how many there are."""
    hard = 0
    for row in range(len(offsets) - 1):
        end = offsets[row + 1]
        chunk, letters = offsets[row], True
        for place in range(offsets[row], end + 1):
            byte = data[place] if place < end else np.uint8(0x20)
            if byte != 0x20:
                letters &= 0x61 <= byte <= 0x7A
                continue
            hard += _note(data, chunk, place, letters, hard_starts, hard_ends, hard)
            chunk, letters = place + 1, True
    return hard
