"""After a cut: marks and spaces that belong to what is cut, and lines of which nothing is left."""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.buffers import Bytes
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.decon_words import REMOVED, SEPARATOR, Fold
from tagarela_dagster.corpus.kernels.repeats_marks import KEPT, LINE, letter_at

_NEWLINE, _SPACE = 10, 32


@jit
def _is_blank(byte: int) -> bool:
    return byte == _SPACE or 9 <= byte <= 13


@jit
def tidy(data: Bytes, start: int, end: int, fold: Fold, fate: Bytes) -> int:
    """Let what was marked take the marks and spaces that belong to it; return the words left.

    A line without a word left goes as a whole, with its newline, and so do the empty lines after
    it where one stands before it. Any other line keeps its newline; what goes of it takes the mark
    that follows, up to the next word, and the spaces before it at the line's end.
    """
    left = 0
    line = start
    cut_before, empty_before = False, True
    kept_end = start  # after the last line that stays
    while line < end:
        at, words, empty, marked = line, 0, True, KEPT
        inside = False
        while at < end and data[at] != _NEWLINE:
            letter, width = letter_at(data, at, end, fold)
            here = fate[at - start]
            if here != KEPT and marked == KEPT:
                marked = np.int64(here)
            if letter == SEPARATOR:
                inside = False
            elif letter != REMOVED:
                if here == KEPT and not inside:
                    words += 1
                inside = here == KEPT
            empty = empty and width == 1 and _is_blank(data[at])
            at += width
        after = min(at + 1, end)
        if words == 0 and marked == KEPT and at < end:
            marked = np.int64(fate[at - start])  # an empty line inside what is cut
        if marked != KEPT and words == 0:
            fate[line - start : after - start] = marked
            cut_before = True
        elif empty and cut_before and empty_before:
            fate[line - start : after - start] = LINE
        else:
            if marked != KEPT:
                _tidy_line(data, line, at, start, fold, fate)
            fate[at - start : after - start] = KEPT
            left += words
            kept_end, empty_before, cut_before = after, empty, False
        line = after
    if cut_before and not _is_blank(data[end - 1]):
        # The text ended in a visible character, and is to do so again.
        while kept_end > start and _is_blank(data[kept_end - 1]):
            kept_end -= 1
            fate[kept_end - start] = LINE
    return left


@jit
def _tidy_line(data: Bytes, line: int, end: int, start: int, fold: Fold, fate: Bytes) -> None:
    """Grow what is marked in ``data[line:end]``, which has words left, over marks and spaces."""
    first_word = line
    while first_word < end:
        letter, width = letter_at(data, first_word, end, fold)
        if letter != SEPARATOR and letter != REMOVED:
            break
        first_word += width
    if fate[first_word - start] != KEPT:
        fate[line - start : first_word - start] = fate[first_word - start]
    at = line
    while at < end:
        kind = fate[at - start]
        if kind == KEPT:
            at += 1
            continue
        begin = at
        while at < end and fate[at - start] != KEPT:
            at += 1
        while at < end and not _is_blank(data[at]):
            letter, width = letter_at(data, at, end, fold)
            if letter != SEPARATOR and letter != REMOVED:
                break
            fate[at - start : at + width - start] = kind
            at += width
        while at < end and _is_blank(data[at]):
            fate[at - start] = kind
            at += 1
        if at == end:
            while begin > line and _is_blank(data[begin - 1]):
                begin -= 1
                fate[begin - start] = kind
