"""Words of a text for the trainable scores: folded bytes, one word at a time.

A word is a run of letters, with hyphens between letters (``dir-se-ia`` is one word). It comes out
in lower case (ASCII and Latin-1 letters) and composed (a letter and a combining accent give the
bytes of the accented letter), so capitals and NFD do not change a score. A run of digits is ``0``;
any other visible character is a mark. Soft hyphens, byte order and direction marks do not exist.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.compile import jit

END, LINE, WORD, NUMBER, MARK = 0, 1, 2, 3, 4
"""Kinds of token."""
MAX_WORD_BYTES = 64
"""What is longer is cut: the rest of the word is passed over."""

_SPACE, _LETTER, _INVISIBLE, _ACCENT, _LONG = 10, 11, 12, 13, 14


def _ascii_kinds() -> NDArray[np.uint8]:
    kinds = np.full(256, _LONG, np.uint8)
    kinds[:128] = _SPACE
    kinds[33:127] = MARK
    kinds[48:58] = NUMBER
    kinds[65:91] = kinds[97:123] = _LETTER
    kinds[10] = LINE
    return kinds


_KINDS = _ascii_kinds()
"""Kind of an ASCII character; ``_LONG`` for the first byte of any other."""


def new_word() -> NDArray[np.uint8]:
    """Room for one folded word."""
    return np.zeros(MAX_WORD_BYTES + 8, np.uint8)


@jit
def next_token(data, position, end, word):
    """The token at or after ``position``; its folded bytes go to ``word``.

    Returns:
        Position behind it, its bytes in ``word``, its kind, and whether it starts with a capital
        (2: with two of them).
    """
    while position < end:
        size, kind = 1, int(_KINDS[data[position]])
        if kind == _LONG:
            size, kind = _character(data, position, end)
        if kind == _LETTER:
            return _word(data, position, end, word)
        if kind == NUMBER:
            word[0] = 48
            while position < end and 48 <= data[position] <= 57:
                position += 1
            return position, 1, NUMBER, 0
        if kind == MARK:
            for i in range(size):
                word[i] = data[position + i]
            return position + size, size, MARK, 0
        position += size
        if kind == LINE:
            return position, 0, LINE, 0
    return end, 0, END, 0


@jit
def _word(data, position, end, word):
    length, capitals, letters = 0, 0, 0
    while position < end:
        # The calls below are for what is rare: one costs more than ten plain letters.
        byte = data[position]
        if _KINDS[byte] == _LETTER:
            if length < MAX_WORD_BYTES:
                word[length] = byte | 0x20
                length += 1
                if letters < 2 and byte <= 90 and capitals == letters:
                    capitals += 1
            letters += 1
            position += 1
            continue
        size, kind = 1, int(_KINDS[byte])
        if kind == _LONG:
            size, kind = _character(data, position, end)
        if kind == _LETTER:
            if length + size <= MAX_WORD_BYTES:
                for i in range(size):
                    word[length + i] = data[position + i]
                if byte == 0xC3 and data[position + 1] <= 0x9E:
                    word[length + 1] += 0x20
                    if letters < 2 and capitals == letters:
                        capitals += 1
                length += size
            letters += 1
        elif kind == _ACCENT:
            length = _accent(data, position, word, length)
        elif kind != _INVISIBLE:
            # A hyphen counts where a letter follows.
            if byte != 45 or position + 1 >= end:
                break
            follows = int(_KINDS[data[position + 1]])
            if follows == _LONG:
                follows = _character(data, position + 1, end)[1]
            if follows != _LETTER:
                break
            if length < MAX_WORD_BYTES:
                word[length] = 45
                length += 1
        position += size
    return position, length, WORD, capitals


@jit
def _character(data, position, end):
    """Bytes and kind of a character beyond ASCII; a broken one is a space of 1 byte."""
    lead = data[position]
    if lead < 0xC2 or lead > 0xF4:
        return 1, _SPACE
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if position + size > end:
        return 1, _SPACE
    second = data[position + 1]
    if lead == 0xC3:
        return 2, MARK if second == 0x97 or second == 0xB7 else _LETTER
    if lead == 0xC2:
        if second == 0xAD:
            return 2, _INVISIBLE
        if second <= 0xA0:
            return 2, _SPACE
        return 2, _LETTER if second == 0xAA or second == 0xB5 or second == 0xBA else MARK
    if lead == 0xCC or (lead == 0xCD and second < 0xB0):
        return 2, _ACCENT
    if lead == 0xE2:
        third = data[position + 2]
        if second == 0x80:
            if third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF:
                return 3, _SPACE
            if third <= 0x8F or 0xAA <= third <= 0xAE:
                return 3, _INVISIBLE
        if second == 0x81 and 0xA0 <= third <= 0xAF:
            return 3, _INVISIBLE
        return 3, MARK
    if lead == 0xEF and second == 0xBB and data[position + 2] == 0xBF:
        return 3, _INVISIBLE
    if (lead == 0xE3 and second == 0x80) or (lead == 0xF0 and second == 0x9F) or lead == 0xEF:
        return size, MARK
    return size, _LETTER


@jit
def _accent(data, position, word, length):
    """Compose a combining accent with the letter before it; returns the new length."""
    if length == 0 or data[position] != 0xCC or length + 1 > MAX_WORD_BYTES:
        return length
    composed = _composed(word[length - 1], data[position + 1])
    if composed == 0:
        return length
    word[length - 1] = 0xC3
    word[length] = composed
    return length + 1


@jit
def _composed(letter, accent):
    """Second byte (after C3) of a Latin-1 letter with an accent; 0 where there is none."""
    if letter == 99:
        return 0xA7 if accent == 0xA7 else 0
    if letter == 110:
        return 0xB1 if accent == 0x83 else 0
    base = 0
    if letter == 97:
        base = 0xA0
    elif letter == 101:
        base = 0xA8
    elif letter == 105:
        base = 0xAC
    elif letter == 111:
        base = 0xB2
    elif letter == 117:
        base = 0xB9
    if base == 0:
        return 0
    if accent <= 0x82:
        return base + accent - 0x80
    if letter == 97 or letter == 111:
        if accent == 0x83:
            return base + 3
        return base + 4 if accent == 0x88 else 0
    return base + 3 if accent == 0x88 else 0


FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
"""FNV-1a, 64 bits (RFC 9923)."""


@jit
def word_hash(word, length, kind):
    """Hash of a token (never 0): FNV-1a of its bytes, then finished as in MurmurHash3."""
    value = FNV_OFFSET ^ np.uint64(kind)
    for i in range(length):
        value = (value ^ np.uint64(word[i])) * FNV_PRIME
    value = mix(value)
    return value if value else np.uint64(1)


@jit
def mix(value):
    """Finaliser of MurmurHash3 (64 bits, by Austin Appleby)."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))
