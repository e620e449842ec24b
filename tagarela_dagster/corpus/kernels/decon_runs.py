"""The common run of a text and an item through a seed: all of it, and never by collision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.decon_tables import Tables
from tagarela_dagster.corpus.kernels.decon_words import Hashes, same_word

Run = tuple[int, int, int, int]
"""First word in the text, the word after the last (0: no run), the word inside that differs (-1:
none), and the word after the piece that begins with the seed and has no differing word."""


class TextWords(NamedTuple):
    """A text cut into words: hash and first byte of each of the first ``words``."""

    data: Bytes
    end: int
    hashes: Hashes
    starts: Offsets
    words: int


@jit
def common_run(text: TextWords, tables: Tables, first: int, place: int) -> Run:
    """The longest run through the seed at word ``first`` of the text and ``place`` of the items.

    Words are compared by their hashes, and those of a run that is long enough letter by letter:
    should two of them differ, the run is sought again by letters alone.
    """
    run = _extend(text, tables, first, place, False)
    if run[1] - run[0] >= tables.required[tables.segments[place]]:
        shift = place - first
        for word in range(run[0], run[1]):
            if word != run[2] and not _equal(text, tables, word, word + shift, True):
                return _extend(text, tables, first, place, True)
    return run


@jit
def _extend(text: TextWords, tables: Tables, first: int, place: int, by_letters: bool) -> Run:
    segment = tables.segments[place]
    shift = place - first
    # The part of the text that lies beside the segment.
    least = max(np.int64(0), tables.starts[segment] - shift)
    most = min(text.words, tables.starts[segment + 1] - shift)
    stop = first
    while stop < most and _equal(text, tables, stop, stop + shift, by_letters):
        stop += 1
    if stop - first < tables.seed:
        return 0, 0, -1, 0
    begin = first
    while begin > least and _equal(text, tables, begin - 1, begin - 1 + shift, by_letters):
        begin -= 1
    if tables.mismatches == 0:
        return begin, stop, -1, stop
    left, right = begin - 1, stop + 1
    while left > least and _equal(text, tables, left - 1, left - 1 + shift, by_letters):
        left -= 1
    while right < most and _equal(text, tables, right, right + shift, by_letters):
        right += 1
    # The differing word lies inside the run: equal words follow it on both sides.
    more_left, more_right = begin - 1 - left, right - 1 - stop
    if more_left > 0 and more_left >= more_right:
        return left, stop, begin - 1, stop
    if more_right > 0:
        return begin, right, stop, stop
    return begin, stop, -1, stop


@jit
def _equal(text: TextWords, tables: Tables, word: int, place: int, by_letters: bool) -> bool:
    """Whether a word of the text is the word at ``place``: by hash, and by letters if asked."""
    if text.hashes[word] != tables.hashes[place]:
        return False
    if not by_letters:
        return True
    low, high = tables.begins[place], tables.begins[place + 1]
    return (
        same_word(text.data, text.starts[word], text.end, tables.fold, tables.letters, low, high)
        >= 0
    )
