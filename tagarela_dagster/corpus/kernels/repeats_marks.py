"""Mark the bytes of repeated lines and of runs of words that an earlier document has."""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.decon_words import (
    REMOVED,
    SEPARATOR,
    TABLE_SIZE,
    Fold,
    Hashes,
    cut_words,
    decode,
)
from tagarela_dagster.corpus.kernels.repeats_hashes import Rules, next_line

KEPT, LINE, SUBSTRING = 0, 1, 2
"""What becomes of a byte."""
_SPACE = 32


@jit
def letter_at(data: Bytes, at: int, end: int, fold: Fold) -> tuple[int, int]:
    """What the character at ``at`` becomes, and its size in bytes."""
    if data[at] < 0x80:
        return np.int64(fold[data[at]]), 1
    code, size = decode(data, at, end)
    return (np.int64(fold[code]) if code < TABLE_SIZE else code), size


@jit
def copy_runs(
    data: Bytes,
    start: int,
    end: int,
    fold: Fold,
    firsts: Offsets,
    counts: Offsets,
    out: Bytes,
    places: Offsets,
) -> int:
    """Copy the words of runs out of ``data[start:end]``, what several runs share only once.

    Args:
        firsts, counts: (runs,) first word, ascending, and number of words of each.
        out: (end - start + runs,) gets the bytes; a space follows each piece.
        places: (runs,) gets the byte of ``out`` at which each begins.

    Returns:
        Bytes written.
    """
    room = (end - start) // 2 + 1
    hashes, starts = np.empty(room, np.uint64), np.empty(room + 1, np.int64)
    words = cut_words(data, start, end, fold, hashes, starts)
    starts[words] = end
    size, run = 0, 0
    while run < firsts.size:
        first, last = firsts[run], firsts[run] + counts[run]
        while run < firsts.size and firsts[run] <= last:
            last = max(last, firsts[run] + counts[run])
            places[run] = size + starts[firsts[run]] - starts[first]
            run += 1
        length = starts[last] - starts[first]
        out[size : size + length] = data[starts[first] : starts[last]]
        size += length
        out[size] = _SPACE
        size += 1
    return size


@jit
def same_words(
    data: Bytes, at: int, end: int, copied: Bytes, place: int, words: int, fold: Fold
) -> bool:
    """Whether the same words begin at ``data[at]`` and at ``copied[place]``, letter by letter."""
    size = copied.size
    while words:
        letter = other = REMOVED
        while letter == REMOVED and at < end:
            letter, width = letter_at(data, at, end, fold)
            at += width
        if letter == REMOVED:
            letter = SEPARATOR
        while other == REMOVED and place < size:
            other, width = letter_at(copied, place, size, fold)
            place += width
        if other == REMOVED:
            other = SEPARATOR
        if letter != other:
            return False
        if letter != SEPARATOR:
            continue
        words -= 1
        while words and at < end:
            letter, width = letter_at(data, at, end, fold)
            if letter != SEPARATOR and letter != REMOVED:
                break
            at += width
        while words and place < size:
            other, width = letter_at(copied, place, size, fold)
            if other != SEPARATOR and other != REMOVED:
                break
            place += width
    return True


@jit
def mark_lines(
    data: Bytes, start: int, end: int, rules: Rules, wanted: Hashes, fate: Bytes
) -> None:
    """Mark the lines whose hash's first half is in ``wanted`` (ascending), without newlines."""
    at = start
    while at < end:
        after, letters, first, _ = next_line(data, at, end, rules.lines)
        if letters >= rules.letters:
            found = np.searchsorted(wanted, first)
            if found < wanted.size and wanted[found] == first:
                fate[at - start : after - start] = LINE
        at = after + 1


@jit
def mark_runs(
    data: Bytes,
    start: int,
    end: int,
    fold: Fold,
    firsts: Offsets,
    counts: Offsets,
    places: Offsets,
    copied: Bytes,
    fate: Bytes,
) -> int:
    """Mark the runs of words that are the same in an earlier document.

    Args:
        firsts, counts, places: (runs,) first word, number of words, and the byte of ``copied``
            where the earlier document's words begin.

    Returns:
        How many runs are not the same: collisions of a hash.
    """
    room = (end - start) // 2 + 1
    hashes, starts = np.empty(room, np.uint64), np.empty(room, np.int64)
    cut_words(data, start, end, fold, hashes, starts)
    collisions = 0
    done = 0
    for run in range(firsts.size):
        first, last = firsts[run], firsts[run] + counts[run] - 1
        if not same_words(data, starts[first], end, copied, places[run], counts[run], fold):
            collisions += 1
            continue
        at = starts[last]
        while at < end:
            letter, width = letter_at(data, at, end, fold)
            if letter == SEPARATOR:
                break
            at += width
        fate[max(done, starts[first]) - start : at - start] = SUBSTRING
        done = max(done, at)
    return collisions
