"""Hash tables of a lexicon: whitespace-delimited chunk -> its words, word -> what rules ask of it.

Open addressing with linear probing. A chunk's slot holds its bytes when there are few, a word's
half of a mixed 64-bit hash and a number. Bytes are kept and compared, so no collision ever decides.
Kernels cannot grow arrays: they stop before one is full, and the owner
(``filtering.lexicon.Lexicon``) grows them and goes on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.characters import (
    ALPHA,
    ENDS_SENTENCE,
    PUNCT,
    PUNCTUATION,
    UPPER,
    class_of,
    decode,
)
from tagarela_dagster.corpus.kernels.compile import jit_borrowing

HASH_BASE = 0x9E3779B97F4A7C15
"""Odd, so a power of it never vanishes. Hash of bytes b0 … bk: ``sum(bi * HASH_BASE**(k - i))``
modulo 2**64, so that hashes of joined words follow from those of the words."""

HAS_NON_PUNCTUATION = 1
"""At least one character is not in datatrove's PUNCTUATION_SET."""
HAS_LETTER = 2
"""At least one character is alphabetic."""
ONLY_PUNCT = 4
"""spaCy's ``is_punct``: every character is of Unicode category P."""
ENDS = 8
"""One of the marks at which spaCy's sentencizer may end a sentence."""
CAPITALIZED = 16
"""The first character is upper case."""
SPECIAL = 32
"""One of the tokenizer's special cases."""
SPECIAL_SPLIT = 64
"""A special case of several words: chunks with it are left to spaCy."""
PAIR_FIRST = 128
"""First of two words that begin a special case written as several words."""

CHUNKS, WORDS, PARTS, ARENA, UNKNOWN = range(5)
"""Places in ``counts``."""


class Tables(NamedTuple):
    """Arrays of a lexicon; all but ``pairs`` have room beyond ``counts``.

    Attributes:
        slots: (power of 2, 4) chunk slots, so that a chunk that is known is found in one place: its
            first eight bytes; the next eight, or the hash of a chunk of more than 16;
            bytes << 32 | number + 1, 0 when the slot is free; words << 32 | first part.
        chunks: (chunks, 4) start in the arena, bytes, first part (or the word itself when there
            is one), number of words (0: not known yet).
        parts: (parts, 2) word and where it begins in its chunk, of chunks of several words.
        word_slots: (power of 2,) word slots.
        words: (words, 4) hash, HASH_BASE**bytes, characters | flags << 32, start << 24 | bytes.
        arena: bytes of chunks; words lie inside them.
        pairs: sorted, first << 32 | second word that begin a special case.
        counts: (5,) used chunks, words, parts, arena bytes, and chunks met without known words.
        marks: the first ``marks[0]`` words are those of the lexicon's marked words (stop words).
    """

    slots: NDArray[np.uint64]
    chunks: NDArray[np.int64]
    parts: NDArray[np.int32]
    word_slots: NDArray[np.uint64]
    words: NDArray[np.uint64]
    arena: NDArray[np.uint8]
    pairs: NDArray[np.int64]
    counts: NDArray[np.int64]
    marks: NDArray[np.int64]


_BASE = np.uint64(HASH_BASE)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_HALF, _ONE, _TWO4 = np.uint64(32), np.uint64(1), np.uint64(24)
_LOW = np.uint64(0xFFFFFFFF)
_LOW24 = np.uint64(0xFFFFFF)


@jit_borrowing
def mix(value):
    """Spread a polynomial hash over all bits (the finalizer of MurmurHash3, half of it)."""
    value ^= value >> np.uint64(33)
    value *= _MIX
    return value ^ (value >> np.uint64(29))


@jit_borrowing
def hash_bytes(data, start, end):
    """Polynomial hash of ``data[start:end]``."""
    value = np.uint64(0)
    for i in range(start, end):
        value = value * _BASE + np.uint64(data[i])
    return value


@jit_borrowing
def same_bytes(a, a_start, b, b_start, size):
    """Whether two stretches of ``size`` bytes are equal."""
    for i in range(size):  # noqa: SIM110 (all() of a generator does not compile)
        if a[a_start + i] != b[b_start + i]:
            return False
    return True


@jit_borrowing
def spread(first, second):
    """A hash of sixteen bytes."""
    value = (first ^ _BASE) * _MIX
    value ^= (second ^ (value >> _HALF)) * _BASE
    return mix(value)


@jit_borrowing
def find_word(data, start, end, mixed, tables):
    """Number of a word, or ``-1 - slot`` of the free slot where it belongs."""
    mask = np.uint64(len(tables.word_slots) - 1)
    slot = mixed & mask
    half = mixed >> _HALF
    size = end - start
    while True:
        entry = tables.word_slots[slot]
        if entry == 0:
            return -1 - np.int64(slot)
        if entry >> _HALF == half:
            number = np.int64(entry & _LOW) - 1
            place = tables.words[number, 3]
            if np.int64(place & _LOW24) == size and same_bytes(
                data, start, tables.arena, np.int64(place >> _TWO4), size
            ):
                return number
        slot = (slot + _ONE) & mask


@jit_borrowing
def word_number(start, end, classes, tables):
    """Number of the word ``arena[start:end]``, added when it is new."""
    hashed = hash_bytes(tables.arena, start, end)
    mixed = mix(hashed)
    number = find_word(tables.arena, start, end, mixed, tables)
    if number >= 0:
        return number
    slot = -1 - number
    number = tables.counts[WORDS]
    power, characters, at = np.uint64(1), 0, start
    flags, only_punct, ends, bits = 0, ONLY_PUNCT, 0, 0
    while at < end:
        code, size = decode(tables.arena, at, end)
        bits = class_of(code, classes)
        if bits & PUNCTUATION == 0:
            flags |= HAS_NON_PUNCTUATION
        if bits & ALPHA:
            flags |= HAS_LETTER
        if bits & PUNCT == 0:
            only_punct = 0
        if bits & UPPER and at == start:
            flags |= CAPITALIZED
        for _ in range(size):
            power *= _BASE
        characters += 1
        at += size
    if characters == 1 and bits & ENDS_SENTENCE:
        ends = ENDS
    flags |= only_punct | ends
    tables.words[number, 0] = hashed
    tables.words[number, 1] = power
    tables.words[number, 2] = np.uint64(characters) | (np.uint64(flags) << _HALF)
    tables.words[number, 3] = (np.uint64(start) << _TWO4) | np.uint64(end - start)
    tables.word_slots[slot] = ((mixed >> _HALF) << _HALF) | np.uint64(number + 1)
    tables.counts[WORDS] += 1
    return number


@jit_borrowing
def word_flags(number, tables):
    """Flags of a word."""
    return np.int64(tables.words[number, 2] >> _HALF)


@jit_borrowing
def word_characters(number, tables):
    """Length of a word in characters."""
    return np.int64(tables.words[number, 2] & _LOW)


@jit_borrowing
def word_bytes(number, tables):
    """Length of a word in bytes."""
    return np.int64(tables.words[number, 3] & _LOW24)
