"""All signals of the rules for some texts, from their bytes and numbered words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels import c4
from tagarela_dagster.corpus.kernels import lines as line
from tagarela_dagster.corpus.kernels.compile import jit, jit_borrowing
from tagarela_dagster.corpus.kernels.lines import count_newlines
from tagarela_dagster.corpus.kernels.repetition import (
    BUCKETS,
    DUP_NS,
    TOP_NS,
    dup_grams,
    table_size,
    top_grams,
)
from tagarela_dagster.corpus.kernels.text_pass import pass_text
from tagarela_dagster.corpus.kernels.word_tables import HAS_LETTER, HAS_NON_PUNCTUATION

RULE_SIGNALS = (
    "dup_line_frac",
    *(f"top_{n}_gram" for n in TOP_NS),
    *(f"dup_{n}_gram" for n in DUP_NS),
    "line_punct_ratio",
    "short_line_ratio",
    "char_dup_ratio",
    "list_ratio",
    "words",
    "avg_word_length",
    "hash_ratio",
    "ellipsis_ratio",
    "bullet_lines",
    "ellipsis_lines",
    "alpha_words",
    "stop_words",
    "c4_kept_lines",
    "c4_no_punctuation_lines",
    "c4_short_lines",
    "c4_long_word_lines",
    "c4_javascript_lines",
    "c4_policy_lines",
    "c4_curly_lines",
    "c4_lorem_lines",
    "c4_sentences",
    "madlad_sentences",
    "madlad_questionable",
)
"""Signals of the rules, in the order in which the rules look at them."""

_FINEWEB = 1 + len(TOP_NS) + len(DUP_NS)
_HALF, _LOW, _LOW24 = np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFF)


class Scratch(NamedTuple):
    """Arrays that kernels reuse from text to text, long enough for the longest.

    Attributes:
        slots: hash table of n-grams or lines. top_slots, keys: table of top n-grams.
        upto: characters of the words before each word. places: bytes of them.
        hashes, powers, flags: hash, power and flags of each word. rolled: hashes of n-grams.
        grams, counts: numbers of n-grams, and how often each occurs.
        buckets: how many n-grams, up to two, have hashes of each bucket. buckets_of: of n-grams.
        chosen: n-grams that are looked at.
        lines: where each different line begins and ends.
    """

    slots: NDArray[np.uint64]
    top_slots: NDArray[np.int32]
    keys: NDArray[np.uint64]
    upto: NDArray[np.int64]
    places: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    powers: NDArray[np.uint64]
    flags: NDArray[np.uint8]
    rolled: NDArray[np.uint64]
    grams: NDArray[np.int32]
    counts: NDArray[np.int32]
    buckets: NDArray[np.uint8]
    buckets_of: NDArray[np.int32]
    chosen: NDArray[np.int32]
    lines: NDArray[np.int64]


def new_scratch(words: int, lines: int) -> Scratch:
    """Scratch for texts of up to so many words and lines."""
    slots = int(table_size(words))
    return Scratch(
        slots=np.empty(max(slots, int(table_size(lines))), np.uint64),
        top_slots=np.empty(slots, np.int32),
        keys=np.empty(slots, np.uint64),
        upto=np.empty(words + 1, np.int64),
        places=np.empty(words + 1, np.int64),
        hashes=np.empty(words, np.uint64),
        powers=np.empty(words, np.uint64),
        flags=np.empty(words, np.uint8),
        rolled=np.empty(words, np.uint64),
        grams=np.empty(words, np.int32),
        counts=np.empty(words + 1, np.int32),
        buckets=np.empty(BUCKETS * slots, np.uint8),
        buckets_of=np.empty(words, np.int32),
        chosen=np.empty(words + 1, np.int32),
        lines=np.empty((lines, 2), np.int64),
    )


@jit_borrowing
def newlines_of(data, offsets, found):
    """Newlines of each text."""
    for row in range(len(offsets) - 1):
        found[row] = count_newlines(data, offsets[row], offsets[row + 1])


@jit_borrowing
def _ratio(part, whole):
    return part / whole if whole else np.nan


@jit_borrowing
def _count_words(ids, words, marked, scratch, seen):
    """Fill in what n-grams need of each word; counts: real words, their characters, with a
    letter, different marked ones."""
    real = characters = letters = marks = 0
    upto, places, hashes, powers = scratch.upto, scratch.places, scratch.hashes, scratch.powers
    seen[:] = 0
    upto[0] = places[0] = 0
    for k in range(len(ids)):
        number = ids[k]
        info = words[number, 2]
        flags, length = np.int64(info >> _HALF), np.int64(info & _LOW)
        hashes[k], powers[k] = words[number, 0], words[number, 1]
        scratch.flags[k] = flags
        places[k + 1] = places[k] + np.int64(words[number, 3] & _LOW24)
        upto[k + 1] = upto[k] + length
        if flags & HAS_NON_PUNCTUATION:
            real += 1
            characters += length
        letters += flags & HAS_LETTER != 0
        if number < marked and not seen[number]:
            seen[number] = 1
            marks += 1
    return real, characters, letters, marks


@jit
def measure_rows(
    data, offsets, ids, starts, ends, joined, joined_ends, tables, classes, newlines, scratch, out
):
    """Signals of texts ``data[offsets[i]:offsets[i + 1]]``.

    Args:
        ids, starts, ends, joined, joined_ends: their words (``kernels.split.split_rows``);
            tables: the lexicon's.
        newlines: (texts,) newlines of each.
        out: (texts, RULE_SIGNALS) float64; a ratio without divisor is NaN.
    """
    counts = np.zeros(len(line.LINE_COUNTS), np.int64)
    marked = tables.marks[0]
    seen = np.zeros(max(1, marked), np.uint8)
    c4_counts, sentences = np.zeros(len(c4.LINE_RULES), np.int64), np.zeros(2, np.int64)
    first = base = 0
    for row in range(len(offsets) - 1):
        start, end, last = offsets[row], offsets[row + 1], ends[row]
        own, words = ids[first:last], last - first
        signals = out[row]
        slots = scratch.slots[: table_size(newlines[row] + 2)]
        slots[:] = 0
        real, characters, letters, marks = _count_words(own, tables.words, marked, scratch, seen)
        pass_text(
            data, start, end, classes, slots, scratch.lines, offsets[0], starts[first:last],
            scratch.flags, counts, c4_counts, sentences,
        )  # fmt: skip
        total = max(1, counts[line.CHARACTERS])
        signals[0] = _ratio(counts[line.DUPLICATE_LINES], counts[line.LINES])
        top_grams(own, scratch.upto, total, scratch, signals[1 : 1 + len(TOP_NS)])
        dup_grams(joined, base, total, words, scratch, signals[1 + len(TOP_NS) : _FINEWEB])
        visible, split = counts[line.VISIBLE_LINES], counts[line.SPLIT_LINES]
        rest = signals[_FINEWEB:]
        rest[0] = _ratio(counts[line.PUNCTUATED_LINES], visible)
        rest[1] = _ratio(counts[line.SHORT_LINES], visible)
        without = counts[line.CHARACTERS] - counts[line.NEWLINES]
        rest[2] = _ratio(counts[line.DUPLICATE_CHARACTERS], without)
        rest[3] = _ratio(counts[line.NEWLINES], words)
        rest[4] = real
        rest[5] = _ratio(characters, real)
        rest[6] = _ratio(counts[line.HASHES], words)
        rest[7] = _ratio(counts[line.ELLIPSES], words)
        rest[8] = _ratio(counts[line.BULLET_LINES], split)
        rest[9] = _ratio(counts[line.ELLIPSIS_LINES], split)
        rest[10] = _ratio(letters, words)
        rest[11] = marks
        for k in range(1, len(c4.LINE_RULES) - 1):
            rest[11 + k] = _ratio(c4_counts[k], c4_counts[c4.LINES])
        rest[20] = c4_counts[c4.SENTENCES]
        rest[21], rest[22] = sentences[0], _ratio(sentences[1], sentences[0])
        first, base = last, joined_ends[row]
