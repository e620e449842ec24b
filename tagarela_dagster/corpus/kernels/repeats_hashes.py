"""Hashes by which repeats are found: of whole lines, and of runs of words.

A line's hash has 128 bits and is all that says that two lines are equal. A run's hash only leads to
places that are compared word by word afterwards, so of the runs of ``gram`` words it is enough to
keep the least of every ``window`` neighbours (winnowing: Schleimer, Wilkerson and Aiken, SIGMOD
2003): two texts that share ``gram + window - 1`` words in a row keep one and the same run of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
from tagarela_dagster.corpus.kernels.word_tables import mix

DIGIT = ord("0")
"""What a number becomes in a line, whatever its digits."""
_NEWLINE = 10
_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_OTHER_BASE = np.uint64(0xD6E8FEB86659FD93)
_TWIST = np.uint64(0xA0761D6478BD642F)


class Rules(NamedTuple):
    """What is looked for.

    Attributes:
        letters: of a line that is looked at, at least; 0: lines are not looked for.
        gram: words of the runs that lead to a passage; 0: passages are not looked for.
        window: neighbouring runs of which the least is kept.
        fold: of words; lines: of lines (digits are DIGIT).
    """

    letters: int
    gram: int
    window: int
    fold: Fold
    lines: Fold


@jit
def next_line(data: Bytes, start: int, end: int, fold: Fold) -> tuple[int, int, int, int]:
    """The line at ``start``: byte after it (its newline not included), letters, 128-bit hash.

    Letters are compared in lower case and without diacritics; what stands between words is one
    space, a number is DIGIT.
    """
    first, second = _P1, _P2
    letters = 0
    begun, gap, number = False, False, False
    at = start
    while at < end and data[at] != _NEWLINE:
        byte = data[at]
        if byte < 0x80:
            letter, size = np.int64(fold[byte]), 1
        else:
            code, size = decode(data, at, end)
            letter = np.int64(fold[code]) if code < TABLE_SIZE else code
        at += size
        if letter == REMOVED:
            continue
        if letter == SEPARATOR:
            gap, number = True, False
            continue
        if letter == DIGIT:
            if number:
                continue
            number = True
        else:
            number = False
        if gap and begun:
            first = (first ^ np.uint64(SEPARATOR)) * _P1
            second = (second + np.uint64(SEPARATOR)) * _P2
        begun, gap = True, False
        letters += letter != DIGIT
        first = (first ^ np.uint64(letter)) * _P1
        second = (second + np.uint64(letter)) * _P2
        second ^= second >> np.uint64(29)
    return at, letters, mix(first), mix(second)


@jit
def winnow(hashes: Hashes, count: int, gram: int, window: int, places: Offsets) -> int:
    """Keep the least of every ``window`` neighbouring runs of ``gram`` words, the last if equal.

    Args:
        hashes: (words,) of each word; overwritten with that of the run that begins there.
        places: gets the first word of each run that is kept, ascending.

    Returns:
        How many are kept; none of a text with fewer than ``gram + window - 1`` words.
    """
    if count < gram + window - 1:
        return 0
    power = np.uint64(1)
    value = np.uint64(0)
    for word in range(gram - 1):
        power *= _BASE
        value = value * _BASE + hashes[word]
    kept, best = 0, -1
    for run in range(count - gram + 1):
        value = value * _BASE + hashes[run + gram - 1]
        leaves = hashes[run] * power
        hashes[run] = mix(value)
        value -= leaves
        if best < 0 or hashes[run] <= hashes[best]:
            best = run
        elif best <= run - window:
            best = run - window + 1
            for other in range(best + 1, run + 1):
                if hashes[other] <= hashes[best]:
                    best = other
        if run >= window - 1 and (kept == 0 or places[kept - 1] != best):
            places[kept] = best
            kept += 1
    return kept


@jit
def index_texts(
    data: Bytes,
    offsets: Offsets,
    rules: Rules,
    line_keys: Hashes,
    line_other: Hashes,
    line_rows: NDArray[np.uint32],
    run_keys: Hashes,
    run_rows: NDArray[np.uint32],
) -> tuple[int, int]:
    """Hashes of the lines and of the kept runs of every text; returns how many of each.

    Args:
        line_keys, line_other, line_rows: room for a line every ``letters + 1`` bytes, and one more
            a text.
        run_keys, run_rows: room for a run every two bytes, and one more a text.
    """
    lines, runs = 0, 0
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    room = longest // 2 + 1 if rules.gram else 1
    hashes, starts = np.empty(room, np.uint64), np.empty(room, np.int64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        at = start
        while rules.letters and at < end:
            at, letters, first, second = next_line(data, at, end, rules.lines)
            at += 1
            if letters >= rules.letters:
                line_keys[lines], line_other[lines], line_rows[lines] = first, second, row
                lines += 1
        if rules.gram:
            words = cut_words(data, start, end, rules.fold, hashes, starts)
            kept = winnow(hashes, words, rules.gram, rules.window, starts)
            for place in range(kept):
                key = hashes[starts[place]]
                # A litany keeps one run over and over.
                if place == 0 or key != run_keys[runs - 1]:
                    run_keys[runs], run_rows[runs] = key, row
                    runs += 1
    return lines, runs


@jit
def passages(
    data: Bytes,
    offsets: Offsets,
    rules: Rules,
    wanted: Hashes,
    bounds: Offsets,
    keys: Hashes,
    other: Hashes,
    stretches: Offsets,
) -> tuple[int, int]:
    """128-bit hash of every passage of ``gram + window - 1`` words around the wanted runs.

    Args:
        wanted: hashes of runs, ascending in each text; those of text i are
            ``wanted[bounds[i]:bounds[i + 1]]``.
        keys, other: (bytes // 2 + texts,) the two halves, text after text in order of words.
        stretches: (bytes // 2 + texts, 3) text, first word and number of passages that follow
            each other.

    Returns:
        How many passages and how many stretches there are.
    """
    length = rules.gram + rules.window - 1
    power, other_power = np.uint64(1), np.uint64(1)
    for _ in range(length - 1):
        power *= _BASE
        other_power *= _OTHER_BASE
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    room = longest // 2 + 1
    hashes, runs = np.empty(room, np.uint64), np.empty(room, np.uint64)
    starts = np.empty(room, np.int64)
    count, parts = 0, 0
    for row in range(len(offsets) - 1):
        low, high = bounds[row], bounds[row + 1]
        if low == high:
            continue
        words = cut_words(data, offsets[row], offsets[row + 1], rules.fold, hashes, starts)
        runs[:words] = hashes[:words]
        kept = winnow(runs, words, rules.gram, rules.window, starts)
        begin, end = 0, 0  # passages of the stretch so far
        for place in range(kept + 1):
            if place < kept:
                word = starts[place]
                key = runs[word]
                found = low + np.searchsorted(wanted[low:high], key)
                if found == high or wanted[found] != key:
                    continue
                first, last = max(0, word + rules.gram - length), min(word, words - length) + 1
                if end and first <= end:
                    end = last
                    continue
            if end:
                stretches[parts, 0], stretches[parts, 1] = row, begin
                stretches[parts, 2] = end - begin
                parts += 1
                value, twin = np.uint64(0), np.uint64(0)
                for at in range(begin, end + length - 1):
                    value = value * _BASE + hashes[at]
                    twin = twin * _OTHER_BASE + (hashes[at] ^ _TWIST)
                    if at >= begin + length - 1:
                        keys[count], other[count] = mix(value), mix(twin)
                        count += 1
                        leaves = hashes[at - length + 1]
                        value -= leaves * power
                        twin -= (leaves ^ _TWIST) * other_power
            if place < kept:
                begin, end = first, last
    return count, parts
