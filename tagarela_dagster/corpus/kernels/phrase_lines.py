"""Lines with phrases: how much of each a group of phrases covers, and texts without some lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.folding import (
    FOLD,
    FOLD_LATIN,
    JOINT,
    LETTER,
    fold_at,
)
from tagarela_dagster.corpus.kernels.phrases import Hits

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

NEWLINE = 10


@dataclass(frozen=True)
class Lines:
    """Lines in which a phrase stands, in order; (lines,) unless said otherwise.

    Attributes:
        row: the text.
        start, end: bytes of the line in the data without its newline, ``[start, end)``.
        words: words of the line.
        of: (hits,) the line of each hit.
    """

    row: Numbers
    start: Numbers
    end: Numbers
    words: Numbers
    of: Numbers

    def covered(self, hits: Hits, lengths: Numbers, chosen: Flags) -> Numbers:
        """(lines,) words under at least one of the ``chosen`` (hits,) hits.

        Args:
            lengths: words of each phrase of the table.
        """
        return _covered(len(self.row), self.of, hits.word, lengths[hits.phrase], chosen)


def lines_of(data: Bytes, offsets: Offsets, hits: Hits) -> Lines:
    """The lines that the hits stand in."""
    count = len(hits.row)
    made = np.empty((4, count), np.int64)
    of = np.empty(count, np.int64)
    used = _lines(data, offsets, FOLD, FOLD_LATIN, hits.row, hits.start, made, of)
    return Lines(*made[:, :used], of)


def without_lines(
    data: Bytes, offsets: Offsets, lines: Lines, removed: Flags
) -> tuple[Bytes, Offsets]:
    """Texts without the ``removed`` (lines,) lines.

    Of two runs of blank lines that a removal brings together only the first stays, and a text
    neither begins nor ends with what a removal left blank; other blank lines are untouched.
    """
    return without_spans(
        data, offsets, lines.row[removed], lines.start[removed], lines.end[removed]
    )


def without_spans(
    data: Bytes, offsets: Offsets, row: Numbers, start: Numbers, end: Numbers
) -> tuple[Bytes, Offsets]:
    """As ``without_lines``, for whole lines given as (lines,) rows and bytes, in order."""
    out = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    bounds = np.zeros(len(offsets), np.int64)
    size = _without(data, offsets, row, start, end, out, bounds)
    return out[:size], bounds


@jit
def _lines(data, offsets, fold, latin, rows, starts, made, of):
    used = 0
    upto = -1
    for hit in range(len(rows)):
        if starts[hit] < upto and made[0, used - 1] == rows[hit]:
            of[hit] = used - 1
            continue
        low, high = offsets[rows[hit]], offsets[rows[hit] + 1]
        begin = starts[hit]
        while begin > low and data[begin - 1] != NEWLINE:
            begin -= 1
        words = 0
        inside = False
        i = begin
        while i < high and data[i] != NEWLINE:
            step = 1
            code = fold[data[i]]
            if JOINT < code < LETTER:
                code, step = fold_at(data, i, high, latin)
            if code >= LETTER:
                if not inside:
                    words += 1
                inside = True
            elif code <= JOINT:
                inside = False
            i += step
        upto = min(i, high)
        made[0, used], made[1, used], made[2, used], made[3, used] = rows[hit], begin, upto, words
        of[hit] = used
        used += 1
    return used


@jit
def _covered(count, of, word, length, chosen):
    covered = np.zeros(count, np.int64)
    # Words marked by hits of the line at hand: phrases end in order, so a new one that begins
    # before the last free word covers from there on, and may swallow shorter ones before it.
    spans = np.empty((max(1, len(of)), 2), np.int64)
    used, line = 0, -1
    for hit in range(len(of)):
        if of[hit] != line:
            used, line = 0, of[hit]
        if not chosen[hit]:
            continue
        first, last = word[hit], word[hit] + length[hit]
        while used and spans[used - 1, 1] >= first:
            first = min(first, spans[used - 1, 0])
            last = max(last, spans[used - 1, 1])
            covered[line] -= spans[used - 1, 1] - spans[used - 1, 0]
            used -= 1
        spans[used, 0], spans[used, 1] = first, last
        covered[line] += last - first
        used += 1
    return covered


@jit
def _is_blank(data, start, end):
    i = start
    while i < end and data[i] <= 32:
        i += 1
    return i == end


@jit
def _without(data, offsets, rows, starts, ends, out, bounds):
    size, cut = 0, 0
    for row in range(len(offsets) - 1):
        low, high = offsets[row], offsets[row + 1]
        first = cut
        while cut < len(rows) and rows[cut] == row:
            cut += 1
        if first == cut:
            out[size : size + high - low] = data[low:high]
            size += high - low
            bounds[row + 1] = size
            continue
        place, kept, last_text = low, 0, size
        blank, joined, trailing = True, False, False
        while place <= high:
            stop = place
            while stop < high and data[stop] != NEWLINE:
                stop += 1
            if first < cut and starts[first] == place:
                first += 1
                joined = trailing = True
                place = stop + 1
                continue
            empty = _is_blank(data, place, stop)
            # A blank line right after a removed one would lengthen the run before it.
            if not (empty and joined and blank):
                if kept:
                    out[size] = NEWLINE
                    size += 1
                out[size : size + stop - place] = data[place:stop]
                size += stop - place
                kept += 1
                blank = empty
            if not empty:
                joined = trailing = False
                last_text = size
            place = stop + 1
        if trailing:
            size = last_text
        bounds[row + 1] = size
    return size
