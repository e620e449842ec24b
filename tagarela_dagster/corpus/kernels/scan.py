"""One pass over bytes that says which texts a slow rule need look at, and counts what it sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit_borrowing

MARKS = (
    "invisible",
    "direction",
    "combining",
    "replacement",
    "control",
    "mojibake",
    "cut_words",
    "damaged_words",
    "words",
    "characters",
)
"""What ``scan`` counts.

invisible: soft hyphens, zero-width spaces, non-joiners and joiners, word joiners, byte order marks.
direction: marks and controls of writing direction. combining: combining accents (U+0300 to U+036F).
replacement: U+FFFD. control: C0 but tab and line ends, DEL, C1. mojibake: pairs that UTF-8 read as
Latin-1 or Windows-1252 leaves: Ã or Â before what no Portuguese word has there, â€. cut_words: a
small letter, a hyphen, a line end and a small letter. damaged_words: words that look misread: 0 or
1 between small letters; a small letter thrice, but i, w and x; q without u or ü; ç before e, i or a
consonant; four or more single capitals with a space between each two. words: runs of letters and
digits."""

INVISIBLE, DIRECTION, COMBINING, REPLACEMENT, CONTROL, MOJIBAKE = 0, 1, 2, 3, 4, 5
CUT, DAMAGED, WORDS, CHARACTERS = 6, 7, 8, 9

OTHER, LOWER, UPPER, DIGIT, INSIDE, WIDE, SIGN = 0, 1, 2, 3, 4, 5, 6
"""Classes of characters; INSIDE: as if it were not there; WIDE, SIGN: bytes that need a look."""


def _classes() -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    table[ord("a") : ord("z") + 1] = LOWER
    table[ord("A") : ord("Z") + 1] = UPPER
    table[ord("0") : ord("9") + 1] = DIGIT
    table[:32] = SIGN
    table[[9, 10, 13]] = OTHER
    table[[127, ord("-")]] = SIGN
    table[0xC0:] = WIDE
    return table


_CLASSES = _classes()


def scan(data: Bytes, offsets: Offsets) -> NDArray[np.int64]:
    """(rows, MARKS) how often each mark stands in each text."""
    counts = np.zeros((len(offsets) - 1, len(MARKS)), np.int64)
    _scan(data, offsets, _CLASSES, counts)
    return counts


def may_be_wiki(data: Bytes, offsets: Offsets) -> NDArray[np.bool_]:
    """(rows,) whether a text has ``[[``, ``[ed``, ``<r`` or ``</r``, or their capitals."""
    found = np.zeros(len(offsets) - 1, np.bool_)
    _may_be_wiki(data, offsets, found)
    return found


@jit_borrowing
def _may_be_wiki(data, offsets, found):
    for row in range(len(offsets) - 1):
        # 91 [, 60 <, 47 /; a letter with bit 32 set is small.
        i, end = offsets[row], offsets[row + 1] - 1
        while i < end:
            if data[i] == 91:
                if data[i + 1] == 91 or (
                    data[i + 1] | 32 == 101 and _at(data, i + 2, end) | 32 == 100
                ):
                    break
            elif data[i] == 60:
                at = i + 2 if data[i + 1] == 47 else i + 1
                if at <= end and data[at] | 32 == 114:
                    break
            i += 1
        found[row] = i < end


@jit_borrowing
def _at(data, i, end):
    return np.int64(data[i]) if i < end else np.int64(0)


@jit_borrowing
def _two_bytes(data, i, end):
    """Class and mark (-1 for none) of the character of two bytes at ``i``."""
    lead, second, third = _at(data, i, end), _at(data, i + 1, end), _at(data, i + 2, end)
    if lead == 0xC3:
        tilde = second == 0x82 or second == 0x83
        # Behind Ã and Â stand capitals, ASCII or nothing, never U+0080 to U+00BF nor à to ÿ.
        if tilde and (third == 0xC2 or (third == 0xC3 and _at(data, i + 3, end) >= 0xA0)):
            return UPPER, MOJIBAKE
        # â€: the first two bytes of curly quotes and dashes.
        euro = third == 0xE2 and _at(data, i + 3, end) == 0x82 and _at(data, i + 4, end) == 0xAC
        if second == 0xA2 and euro:
            return LOWER, MOJIBAKE
        return (LOWER if second >= 0xA0 else UPPER), -1
    if lead == 0xC2:
        if second == 0xAD:
            return INSIDE, INVISIBLE
        return OTHER, (CONTROL if second < 0xA0 else -1)
    if lead == 0xCC or (lead == 0xCD and second < 0xB0):
        return INSIDE, COMBINING
    return LOWER, -1


@jit_borrowing
def _three_bytes(data, i, end):
    """Class and mark of the character of three bytes at ``i``."""
    lead, second, third = _at(data, i, end), _at(data, i + 1, end), _at(data, i + 2, end)
    if lead == 0xE2 and second == 0x80:
        if 0x8B <= third <= 0x8D:
            return INSIDE, INVISIBLE
        if third == 0x8E or third == 0x8F or 0xAA <= third <= 0xAE:
            return INSIDE, DIRECTION
    elif lead == 0xE2 and second == 0x81:
        if third == 0xA0:
            return INSIDE, INVISIBLE
        if 0xA6 <= third <= 0xA9:
            return INSIDE, DIRECTION
    elif lead == 0xEF and second == 0xBB and third == 0xBF:
        return INSIDE, INVISIBLE
    elif lead == 0xEF and second == 0xBF and third == 0xBD:
        return OTHER, REPLACEMENT
    return OTHER, -1


@jit_borrowing
def _is_cut(data, i, end):
    """Whether a line end and a small letter follow the hyphen at ``i``."""
    if _at(data, i + 1, end) != 10:
        return False
    letter = _at(data, i + 2, end)
    return 97 <= letter <= 122 or (letter == 0xC3 and _at(data, i + 3, end) >= 0xA0)


@jit_borrowing
def _is_wrong(before_kind, before, last_kind, last, letter):
    """Whether a small letter cannot follow the two characters (0 for none) before it."""
    if last_kind == DIGIT:
        return before_kind == LOWER and (last == 48 or last == 49)
    if last == letter and before == letter:
        return not (letter == 105 or letter == 119 or letter == 120)
    if last == 113:
        return letter != 117 and letter != 0xC3BC
    if last == 0xC3A7:
        return not (letter == 97 or letter == 111 or letter == 117 or letter >> 8 == 0xC3)
    return False


@jit_borrowing
def _scan(data, offsets, classes, counts):
    for row in range(len(offsets) - 1):
        count = counts[row]
        i, end = offsets[row], offsets[row + 1]
        # The word at hand: its length and its last two characters.
        length, last, before, last_kind, before_kind = 0, 0, 0, 0, 0
        damaged = False
        # Single capitals with spaces between them, up to here.
        spaced = 0
        while i <= end:
            step = 1
            kind, letter = np.int64(OTHER), np.int64(0)
            if i < end:
                letter = np.int64(data[i])
                kind = np.int64(classes[letter])
                count[CHARACTERS] += 1
                if kind == WIDE:
                    if letter < 0xE0:
                        kind, mark = _two_bytes(data, i, end)
                        step = 2
                        letter = letter << 8 | _at(data, i + 1, end)
                    elif letter < 0xF0:
                        kind, mark = _three_bytes(data, i, end)
                        step = 3
                    else:
                        kind, mark = OTHER, -1
                        step = 4
                    if mark >= 0:
                        count[mark] += 1
                elif kind == SIGN:
                    kind = np.int64(OTHER)
                    if letter != 45:
                        count[CONTROL] += 1
                    elif last_kind == LOWER and _is_cut(data, i, end):
                        count[CUT] += 1
            if LOWER <= kind <= DIGIT:
                if kind == LOWER and length:
                    damaged |= _is_wrong(before_kind, before, last_kind, last, letter)
                before, before_kind = last, last_kind
                last, last_kind = letter, kind
                length += 1
            elif kind != INSIDE:
                if length:
                    count[WORDS] += 1
                    count[DAMAGED] += damaged
                single = length == 1 and last_kind == UPPER
                spaced += single
                if not (single and letter == 32):
                    if spaced >= 4:
                        count[DAMAGED] += spaced
                    spaced = 0
                length, damaged = 0, False
                last = before = last_kind = before_kind = 0
            i = min(i + step, end) if i < end else end + 1
