"""Making and growing the arrays of a lexicon."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.characters import Classes
from tagarela_dagster.corpus.kernels.word_learning import rehash_chunks, rehash_words
from tagarela_dagster.corpus.kernels.word_tables import (
    ARENA,
    CHUNKS,
    PAIR_FIRST,
    PARTS,
    SPECIAL,
    SPECIAL_SPLIT,
    WORDS,
    Tables,
    word_number,
)

_START = 1 << 15
_SLOTS_AN_ENTRY = 2


class Special(NamedTuple):
    """Words that a lexicon holds from the start."""

    marked: list[str]
    special: list[str]
    split: list[str]
    pairs: list[tuple[str, str]]


def empty_tables(special: Special, classes: Classes) -> Tables:
    """Tables that hold no chunk, only the words of ``special``, the marked ones first."""
    tables = Tables(
        slots=np.zeros((_SLOTS_AN_ENTRY * _START, 4), np.uint64),
        chunks=np.zeros((_START, 4), np.int64),
        parts=np.zeros((_START, 2), np.int32),
        word_slots=np.zeros(_SLOTS_AN_ENTRY * _START, np.uint64),
        words=np.zeros((_START, 4), np.uint64),
        arena=np.zeros(16 * _START, np.uint8),
        pairs=np.empty(0, np.int64),
        counts=np.zeros(5, np.int64),
        marks=np.array([len(special.marked)], np.int64),
    )

    def add(word: str, flags: int = 0) -> int:
        encoded = np.frombuffer(word.encode(), np.uint8)
        start, size = int(tables.counts[ARENA]), len(encoded)
        tables.arena[start : start + size] = encoded
        number = int(word_number(start, start + size, classes, tables))
        tables.counts[ARENA] += size
        tables.words[number, 2] |= np.uint64(flags << 32)
        return number

    for word in special.marked:
        add(word)
    for word in special.special:
        add(word, SPECIAL)
    for word in special.split:
        add(word, SPECIAL_SPLIT)
    pairs = [(add(first, PAIR_FIRST) << 32) | add(second) for first, second in special.pairs]
    return tables._replace(pairs=np.array(sorted(pairs), np.int64))


def with_room(tables: Tables, size: int) -> Tables:
    """Tables with room for ``size`` more chunks, words, parts and bytes (each)."""
    counts = tables.counts
    chunks = _grown(tables.chunks, int(counts[CHUNKS]), size)
    words = _grown(tables.words, int(counts[WORDS]), size)
    tables = tables._replace(
        chunks=chunks,
        words=words,
        parts=_grown(tables.parts, int(counts[PARTS]), size),
        arena=_grown(tables.arena, int(counts[ARENA]), size),
    )
    if (needed := _SLOTS_AN_ENTRY * len(chunks)) > len(tables.slots):
        slots = np.zeros((needed, 4), np.uint64)
        rehash_chunks(tables.slots, slots)
        tables = tables._replace(slots=slots)
    if (needed := _SLOTS_AN_ENTRY * len(words)) > len(tables.word_slots):
        word_slots = np.zeros(needed, np.uint64)
        rehash_words(words, counts, word_slots)
        tables = tables._replace(word_slots=word_slots)
    return tables


def _grown(array: NDArray[Any], used: int, size: int) -> NDArray[Any]:
    """The array, or one of twice its length (as often as needed) with the same beginning."""
    length = len(array)
    while length < used + size:
        length *= 2
    if length == len(array):
        return array
    grown = np.zeros((length, *array.shape[1:]), array.dtype)
    grown[:used] = array[:used]
    return grown
