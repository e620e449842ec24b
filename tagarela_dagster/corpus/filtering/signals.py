"""Signals: every number that the Gopher and FineWeb rules decide by, from one tokenization.

Exactly datatrove 0.10.1's quantities (``pipeline/filters/gopher_repetition_filter.py``,
``gopher_quality_filter.py``, ``fineweb_quality_filter.py``), computed for every document in full,
so that thresholds can be decided again from the ``quality`` struct without the text.

n-grams are compared as numbers: words by their number in the lexicon, the joined n-grams of the
duplicate rules by a rolling hash whose hits are confirmed on the characters themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from datatrove.utils.text import TERMINAL_PUNCTUATION
from numpy.typing import NDArray

from tagarela_dagster.corpus.filtering.words import (
    HAS_LETTER,
    HAS_NON_PUNCTUATION,
    HASH_BASE,
    MARKED,
    Lexicon,
)

TOP_NS = (2, 3, 4)
DUP_NS = (5, 6, 7, 8, 9, 10)

RULE_SIGNALS = (
    "dup_line_frac",
    *(f"top_{n}_gram" for n in TOP_NS),
    *(f"dup_{n}_gram" for n in DUP_NS),
    "line_punct_ratio",
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
)
"""Signals of the rules, in the order in which the rules look at them."""

_TERMINAL = frozenset(TERMINAL_PUNCTUATION)
_INVERSE_BASE = pow(HASH_BASE, -1, 1 << 64)

_SLOTS_A_WORD = 16

Numbers = NDArray[np.int64]


def text_signals(texts: Iterable[str], lexicon: Lexicon) -> dict[str, NDArray[np.float64]]:
    """Signals of each text: name in RULE_SIGNALS -> (texts,) float64.

    A ratio whose denominator is zero (no word, no line) is NaN, by which no rule drops.
    """
    rows = [_document(text, lexicon) for text in texts]
    table = np.array(rows, np.float64).reshape(len(rows), len(RULE_SIGNALS))
    return {name: table[:, column] for column, name in enumerate(RULE_SIGNALS)}


def _document(text: str, lexicon: Lexicon) -> list[float]:
    lexicon.trim()
    ids = lexicon.split(text)
    lengths, flags, hashes = lexicon.tables()
    lengths, flags = lengths[ids], flags[ids]
    words = len(ids)
    ends = np.zeros(words + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])

    real = (flags & HAS_NON_PUNCTUATION) > 0
    real_words = int(np.count_nonzero(real))
    ellipses = text.count("...") + text.count("…")
    return [
        _dup_line_frac(text),
        *_top_grams(ids, ends, len(text), len(lexicon.words)),
        *_dup_grams(text, lengths, hashes[ids], ends),
        *_fineweb_lines(text),
        _ratio(text.count("\n"), words),
        float(real_words),
        _ratio(int(lengths[real].sum()), real_words),
        _ratio(text.count("#"), words),
        _ratio(ellipses, words),
        *_gopher_lines(text, ellipses > 0),
        _ratio(int(np.count_nonzero(flags & HAS_LETTER)), words),
        float(len(np.unique(ids[(flags & MARKED) > 0]))),
    ]


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _dup_line_frac(text: str) -> float:
    """Share of lines that repeat an earlier one; lines are split at runs of newlines."""
    lines = [line for line in text.split("\n") if line]
    # re.split("\n+", text) gives an empty line before a leading and after a trailing run.
    lines += [""] * (text.startswith("\n") + text.endswith("\n"))
    return _ratio(len(lines) - len(set(lines)), len(lines))


def _fineweb_lines(text: str) -> tuple[float, float]:
    """Share of lines that end in terminal punctuation, share of characters in repeated lines."""
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    punctuated = sum(line[-1] in _TERMINAL for line in lines)
    unique = set(lines)
    repeated = 0
    if len(unique) < len(lines):
        repeated = sum(map(len, lines)) - sum(map(len, unique))
    return (
        _ratio(punctuated, len(lines)),
        _ratio(repeated, len(text) - text.count("\n")),
    )


def _gopher_lines(text: str, has_ellipsis: bool) -> tuple[float, float]:
    """Share of lines that start with a bullet, share that end with an ellipsis."""
    lines = text.splitlines()
    bullets = sum(line.lstrip().startswith(("•", "-")) for line in lines)
    ellipses = 0
    if has_ellipsis:
        ellipses = sum(line.rstrip().endswith(("...", "…")) for line in lines)
    return _ratio(bullets, len(lines)), _ratio(ellipses, len(lines))


def _top_grams(ids: Numbers, ends: Numbers, characters: int, vocabulary: int) -> list[float]:
    """Characters of the most frequent n-gram (the first of equals), counted each time, of all.

    A word is numbered by the last place where it stands, which needs no sorting and keeps n-gram
    keys within 63 bits for documents of up to 55,000 words; longer ones are renumbered.
    """
    words = len(ids)
    last = np.empty(vocabulary, np.int64)
    last[ids] = np.arange(words)
    local = last[ids]
    keys, bound, values = local, words, []
    for n in TOP_NS:
        if words < n:
            values.append(0.0)
            continue
        if bound * words >= 1 << 63:
            keys = np.unique(keys, return_inverse=True)[1]
            bound = len(keys)
        keys = keys[:-1] * words + local[n - 1 :]
        bound *= words
        count, first = _most_common(keys)
        length = int(ends[first + n] - ends[first]) + n - 1
        values.append(count * length / characters)
    return values


def _most_common(keys: Numbers) -> tuple[int, int]:
    """Count of the most frequent key, and where the first of the most frequent ones stands."""
    ordered = np.sort(keys)
    edges = np.flatnonzero(ordered[1:] != ordered[:-1])
    last = np.append(edges, len(ordered) - 1)
    counts = last.copy()
    counts[0] += 1
    counts[1:] -= edges
    count = int(counts.max())
    if count == 1:
        return 1, 0
    tied = ordered[last[counts == count]]
    if len(tied) == 1:
        return count, int((keys == tied[0]).argmax())
    return count, int(np.isin(keys, tied).argmax())


def _dup_grams(
    text: str, lengths: Numbers, hashes: NDArray[np.uint64], ends: Numbers
) -> list[float]:
    """Share of characters in n-grams (joined without spaces) that stood earlier in the text.

    datatrove walks the words and, after a repeated n-gram, goes on behind it. Only n-grams that
    occur twice can matter for that walk: those whose rolling hash shares a slot with another's
    (some by chance, so the walk compares the characters).
    """
    words = len(lengths)
    if words < DUP_NS[0]:
        return [0.0] * len(DUP_NS)
    power, inverse = _powers(int(lengths.max()))
    # Hash of the characters up to each word; dividing by the power at the start of an n-gram
    # gives the n-gram's own hash, wherever it stands.
    shift = np.ones(words + 1, np.uint64)
    np.cumprod(power[lengths], out=shift[1:])
    unshift = np.ones(words + 1, np.uint64)
    np.cumprod(inverse[lengths], out=unshift[1:])
    upto = np.zeros(words + 1, np.uint64)
    np.cumsum(hashes * shift[:-1], out=upto[1:])
    bits = (words * _SLOTS_A_WORD).bit_length()
    slot_shift = np.uint64(64 - bits)
    joined = ""
    values = []
    for n in DUP_NS:
        if words < n:
            values.append(0.0)
            continue
        keys = (upto[n:] - upto[:-n]) * unshift[:-n]
        slots = (keys >> slot_shift).astype(np.int64)
        places = np.flatnonzero(np.bincount(slots, minlength=1 << bits)[slots] > 1)
        if len(places) < 2:
            values.append(0.0)
            continue
        joined = joined or "".join(text.split())
        values.append(_repeated_characters(joined, places, ends, n) / len(text))
    return values


def _repeated_characters(joined: str, places: Numbers, ends: Numbers, n: int) -> int:
    seen: set[str] = set()
    characters, free = 0, 0
    for place, start, end in zip(
        places.tolist(), ends[places].tolist(), ends[places + n].tolist(), strict=True
    ):
        if place < free:
            continue
        gram = joined[start:end]
        if gram in seen:
            characters += end - start
            free = place + n
        else:
            seen.add(gram)
    return characters


@lru_cache(maxsize=4)
def _power_tables(size: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    bases = np.full((2, size), 1, np.uint64)
    bases[0, 1:] = np.uint64(HASH_BASE)
    bases[1, 1:] = np.uint64(_INVERSE_BASE)
    powers = np.cumprod(bases, axis=1)
    return powers[0], powers[1]


def _powers(longest: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Powers of the hash base and of its inverse, at least up to ``longest``."""
    return _power_tables(1 << max(8, (longest + 1).bit_length()))
