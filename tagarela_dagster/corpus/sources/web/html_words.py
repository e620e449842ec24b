"""Words of an HTML page, counted from its bytes without parsing it.

A page is read once: tags, scripts, styles and comments are passed over, character references and
accented letters of any single-byte encoding or UTF-8 become plain letters, and each word is looked
up in a table of function words packed into numbers. Time is linear in the bytes whatever they are:
an unclosed comment or script is searched for its end once.
"""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.compile import jit

WINDOW = 64
"""Words of a window. A paragraph of prose has about so many; shorter ones are joined."""
_MAX_LETTERS = 12
_LETTER_BITS = 5
_FOREIGN = 27
"""Letter of a script or an alphabet that none of the function words is written in."""
_SLOTS = 2048
_MULTIPLIER = 0x9E3779B97F4A7C15
_SHIFT = 53
_MAX_VALUE = 8192
"""Bytes within which a quoted attribute value ends; beyond, the quotation mark was a slip."""


def pack(word: str) -> int:
    """A word of at most 12 letters a to z as a number, 5 bits a letter."""
    key = 0
    for letter in word:
        key = key << _LETTER_BITS | (ord(letter) - ord("a") + 1)
    return key


def letter_table() -> NDArray[np.uint8]:
    """(256,) letter of a Latin-1 byte, 1 for a to 26 for z, accents folded away; 0 for none."""
    table = np.zeros(256, np.uint8)
    for code in range(256):
        base = unicodedata.normalize("NFD", chr(code))[0].lower().replace("ß", "s")
        if "a" <= base <= "z":
            table[code] = ord(base) - ord("a") + 1
    return table


def word_table(lists: list[list[str]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """(slots,) packed words and the lists that they stand in, a byte each; open addressing.

    The bytes are counters: adding up what is found counts all lists at once, up to 255 words.
    """
    masks: dict[int, int] = {}
    for number, words in enumerate(lists):
        for word in sorted(set(words)):
            masks[pack(word)] = masks.get(pack(word), 0) | 1 << 8 * number
    keys, values = np.zeros(_SLOTS, np.uint64), np.zeros(_SLOTS, np.uint64)
    for key, mask in masks.items():
        slot = (key * _MULTIPLIER) % 2**64 >> _SHIFT
        while keys[slot]:
            slot = (slot + 1) % _SLOTS
        keys[slot], values[slot] = key, mask
    return keys, values


_ACCENTS = np.array(
    [pack(name) for name in ("acute", "grave", "circ", "tilde", "uml", "cedil", "ring")], np.uint64
)
"""What follows the base letter in the name of a character reference (``&ccedil;``)."""


@jit
def _raw_text(data: NDArray[np.uint8], at: int) -> int:
    """Length of the name of a raw-text element (script, style) that stands at ``at``, else 0."""
    if at + 7 >= len(data):
        return 0
    a, b, c = data[at] | 32, data[at + 1] | 32, data[at + 2] | 32
    d, e, f = data[at + 3] | 32, data[at + 4] | 32, data[at + 5] | 32
    if a == 115 and b == 99 and c == 114 and d == 105 and e == 112 and f == 116:
        return 6
    if a == 115 and b == 116 and c == 121 and d == 108 and e == 101:
        return 5
    return 0


@jit
def _after_tag(data: NDArray[np.uint8], start: int) -> int:
    """Position after the tag that begins at ``start``; ``>`` in quoted values is passed over."""
    size = len(data)
    at = start + 1
    while at < size and data[at] != 62:
        quote = data[at]
        if (quote == 34 or quote == 39) and data[at - 1] == 61:
            end, limit = at + 1, min(size, at + _MAX_VALUE)
            while end < limit and data[end] != quote:
                end += 1
            if end < limit:
                at = end
        at += 1
    return at + 1


@jit
def _after_close(data: NDArray[np.uint8], start: int, name: int, length: int) -> int:
    """Position of the ``</`` that closes the raw-text element named at ``name``, -1 without."""
    at = start
    while at + length + 2 < len(data):
        if data[at] == 60 and data[at + 1] == 47:
            same = True
            for index in range(length):
                if data[at + 2 + index] | 32 != data[name + index] | 32:
                    same = False
            if same:
                return at
        at += 1
    return -1


@jit
def _after_comment(data: NDArray[np.uint8], start: int) -> int:
    """Position after the comment that begins at ``start``, -1 when it is not closed."""
    at = start
    while at + 2 < len(data):
        if data[at] == 45 and data[at + 1] == 45 and data[at + 2] == 62:
            return at + 3
        at += 1
    return -1


@jit
def _entity(data: NDArray[np.uint8], at: int, letters: NDArray[np.uint8]) -> tuple[int, int]:
    """Letter and length of the character reference at ``at``: ``&ccedil;`` or ``&#231;``."""
    size = len(data)
    end = at + 1
    while end < size and end < at + 10 and data[end] != 59:
        end += 1
    if end >= size or data[end] != 59 or end < at + 3:
        return 0, 1
    length = end - at + 1
    if data[at + 1] == 35:
        number = 0
        for index in range(at + 2, end):
            if data[index] < 48 or data[index] > 57:
                return 0, length
            number = number * 10 + data[index] - 48
        return (int(letters[number]) if 191 < number < 256 else 0), length
    suffix = np.uint64(0)
    for index in range(at + 2, end):
        suffix = suffix << np.uint64(_LETTER_BITS) | np.uint64(letters[data[index]])
    for accent in _ACCENTS:
        if suffix == accent:
            return int(letters[data[at + 1]]), length
    return 0, length


@jit
def _character(data: NDArray[np.uint8], at: int, letters: NDArray[np.uint8]) -> tuple[int, int]:
    """Letter (0 none, -1 a mark on the one before) and length of the character at ``at``.

    A byte above 127 is read as UTF-8 where it can be, else as Windows-1252.
    """
    byte = data[at]
    if byte == 38:
        return _entity(data, at, letters)
    if byte < 192 or at + 1 >= len(data) or data[at + 1] & 0xC0 != 0x80:
        return int(letters[byte]), 1
    if byte == 0xC3:
        return int(letters[0xC0 | data[at + 1] & 0x3F]), 2
    if byte == 0xCC or byte == 0xCD:
        return -1, 2
    if byte < 0xE0:
        return (_FOREIGN if byte > 0xC3 else 0), 2
    if byte < 0xF0:
        return (0 if byte == 0xE2 else _FOREIGN), 3
    return 0, 4


@jit
def count_words(
    data: NDArray[np.uint8],
    keys: NDArray[np.uint64],
    masks: NDArray[np.uint64],
    letters: NDArray[np.uint8],
    counts: NDArray[np.int64],
    min_share: float,
    min_lead: float,
    min_sure: float,
) -> tuple[int, int, int]:
    """Words, windows and Portuguese windows of a page; adds to (lists,) ``counts``.

    List 0 is Portuguese, the last one holds its sure words; the others are other languages.
    """
    size, languages = len(data), len(counts)
    words, windows, portuguese, in_window = 0, 0, 0, 0
    key, window, length, at = np.uint64(0), np.uint64(0), 0, 0
    closed_scripts, closed_comments = True, True
    while at <= size:
        letter, step = 0, 1
        if at < size:
            byte = data[at]
            if byte < 128 and byte != 38:
                letter = int(letters[byte])
            else:
                letter, step = _character(data, at, letters)
        if letter > 0 and not (letter == _FOREIGN and length > 3):
            key = key << np.uint64(_LETTER_BITS) | np.uint64(letter)
            length += 1
            at += step
            continue
        if letter < 0:
            at += step
            continue
        if length > 0:
            words += 1
            in_window += 1
            if length <= _MAX_LETTERS:
                slot = (key * np.uint64(_MULTIPLIER)) >> np.uint64(_SHIFT)
                while keys[slot] != 0 and keys[slot] != key:
                    slot = (slot + np.uint64(1)) % np.uint64(_SLOTS)
                if keys[slot] == key:
                    window += masks[slot]
            key, length = np.uint64(0), 0
        last = at >= size and (windows == 0 or in_window >= WINDOW // 2)
        if in_window == WINDOW or (last and in_window > 0):
            windows += 1
            first, strongest, found = int(window & np.uint64(255)), 0, 0
            for language in range(languages):
                found = int(window >> np.uint64(8 * language) & np.uint64(255))
                counts[language] += found
                if 0 < language < languages - 1:
                    strongest = max(strongest, found)
            sure = found >= min_sure * in_window
            if sure and first >= min_share * in_window and first >= min_lead * strongest:
                portuguese += 1
            window, in_window = np.uint64(0), 0
        if at < size and data[at] == 60 and at + 1 < size:
            after = data[at + 1]
            if after == 33 and closed_comments and data[at + 2 : at + 4].sum() == 90:
                end = _after_comment(data, at + 4)
                closed_comments = end >= 0
                at = end if end >= 0 else at + 1
                continue
            if 97 <= (after | 32) <= 122 or after == 47 or after == 33 or after == 63:
                name = _raw_text(data, at + 1) if closed_scripts else 0
                end = _after_tag(data, at)
                if name:
                    close = _after_close(data, end, at + 1, name)
                    closed_scripts = close >= 0
                    end = close if close >= 0 else end
                at = end
                continue
        at += step
    return words, windows, portuguese
