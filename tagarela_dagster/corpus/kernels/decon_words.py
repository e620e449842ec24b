"""Words of a text as decontamination compares them, straight from UTF-8 bytes.

A table over code points says what each becomes: a lower-case letter without its diacritic, nothing
(a combining mark), or the end of a word (white space and punctuation). Digits stay. A word is
hashed while it is read; its letters can be read again to compare it with another one.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
from datatrove.utils.text import PUNCTUATION
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit

Fold = NDArray[np.uint32]
Hashes = NDArray[np.uint64]

REMOVED = 0
SEPARATOR = 1
TABLE_SIZE = 0x20000
"""Planes in use; a code point above (rare ideographs) is a letter and stays as it is."""
_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(33)


@cache
def fold_table() -> Fold:
    """(TABLE_SIZE,) what each code point becomes: REMOVED, SEPARATOR or a letter."""
    table = np.fromiter((_fold(chr(code)) for code in range(TABLE_SIZE)), np.uint32, TABLE_SIZE)
    table[[ord(mark) for mark in PUNCTUATION if ord(mark) < TABLE_SIZE]] = SEPARATOR
    return table


def _fold(character: str) -> int:
    if character.isspace() or character == "\0":
        return SEPARATOR
    lower = character.lower()
    bases = [c for c in unicodedata.normalize("NFD", lower) if unicodedata.category(c) != "Mn"]
    if len(bases) == 1:
        return ord(bases[0])
    # A Hangul syllable is three letters: it stays whole.
    return ord(lower[0]) if bases else REMOVED


@jit
def decode(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Code point at ``at`` and its size in bytes; a byte that begins none is U+FFFD of size 1."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, 1
    if first < 0xC2:
        return 0xFFFD, 1
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if first > 0xF4 or at + size > end:
        return 0xFFFD, 1
    code = first & (0x7F >> size)
    for follow in range(at + 1, at + size):
        byte = np.int64(data[follow])
        if byte & 0xC0 != 0x80:
            return 0xFFFD, 1
        code = (code << 6) | (byte & 0x3F)
    return code, size


@jit
def cut_words(
    data: Bytes, start: int, end: int, fold: Fold, hashes: Hashes, starts: Offsets
) -> int:
    """Hash and first byte of every word of ``data[start:end]``; returns how many words.

    Args:
        hashes, starts: filled from 0; with room for ``(end - start + 1) // 2`` words.
    """
    count = 0
    at = start
    inside = False
    value = _FNV_OFFSET
    while at < end:
        byte = data[at]
        if byte < 0x80:
            letter, size = np.int64(fold[byte]), 1
        else:
            code, size = decode(data, at, end)
            letter = np.int64(fold[code]) if code < TABLE_SIZE else code
        if letter == SEPARATOR:
            if inside:
                hashes[count] = _mixed(value)
                count += 1
                inside = False
        elif letter != REMOVED:
            if not inside:
                inside = True
                value = _FNV_OFFSET
                starts[count] = at
            value = (value ^ np.uint64(letter)) * _FNV_PRIME
        at += size
    if inside:
        hashes[count] = _mixed(value)
        count += 1
    return count


@jit
def _mixed(value: np.uint64) -> np.uint64:
    value = (value ^ (value >> _SHIFT)) * _MIX
    return value ^ (value >> _SHIFT)


@jit
def word_letters(
    data: Bytes, offsets: Offsets, fold: Fold
) -> tuple[Hashes, Offsets, Fold, Offsets]:
    """Words of all texts with their letters.

    Returns:
        (words,) hashes; (words + 1,) where each word's letters begin; the letters; (rows + 1,)
        where each text's words begin.
    """
    rows = len(offsets) - 1
    size = offsets[rows] - offsets[0]
    letters = np.empty(size, np.uint32)
    hashes = np.empty(size // 2 + rows + 1, np.uint64)
    begins = np.empty(size // 2 + rows + 2, np.int64)
    first_word = np.zeros(rows + 1, np.int64)
    words, count = 0, 0
    for row in range(rows):
        found = cut_words(
            data, offsets[row], offsets[row + 1], fold, hashes[words:], begins[words:]
        )
        for word in range(words, words + found):
            at = begins[word]
            begins[word] = count
            while at < offsets[row + 1]:
                code, width = decode(data, at, offsets[row + 1])
                letter = np.int64(fold[code]) if code < TABLE_SIZE else code
                if letter == SEPARATOR:
                    break
                if letter != REMOVED:
                    letters[count] = letter
                    count += 1
                at += width
        words += found
        first_word[row + 1] = words
    begins[words] = count
    return hashes[:words].copy(), begins[: words + 1].copy(), letters[:count].copy(), first_word


@jit
def same_word(
    data: Bytes, at: int, end: int, fold: Fold, letters: Fold, low: int, high: int
) -> int:
    """Byte after the word at ``at`` if its letters are ``letters[low:high]``, else -1."""
    while at < end:
        code, size = decode(data, at, end)
        letter = np.int64(fold[code]) if code < TABLE_SIZE else code
        if letter == SEPARATOR:
            break
        if letter != REMOVED:
            if low >= high or letter != np.int64(letters[low]):
                return -1
            low += 1
        at += size
    return at if low == high else -1
