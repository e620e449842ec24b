"""Letters as kernels compare them: lower case without accents, from UTF-8 bytes.

A byte's code is BREAK (ends a phrase), JOINT (may stand inside one), SKIP (as if it weren't there:
combining accents, soft hyphens, zero-width marks), or the folded letter or digit itself. Letters
of other scripts stand for themselves, byte by byte.
"""

from __future__ import annotations

import unicodedata

import numpy as np

from tagarela_dagster.corpus.kernels.compile import jit_borrowing

BREAK, JOINT, SKIP, MULTI, LETTER = 0, 1, 2, 3, 48
"""Codes below LETTER; MULTI: more than one byte, which ``fold_at`` reads."""


def _fold_table() -> np.ndarray:
    table = np.zeros(256, np.uint8)
    for byte in range(128):
        if chr(byte).isalnum():
            table[byte] = ord(chr(byte).lower())
    for sign in " \t-'\"*_&":
        table[ord(sign)] = JOINT
    table[128:] = np.arange(128, 256)
    for lead in (0xC2, 0xC3, 0xCC, 0xCD, 0xE2, 0xEF, *range(0xF0, 0x100)):
        table[lead] = MULTI
    return table


def _latin_table() -> np.ndarray:
    """Second byte after 0xC3, less 0x80 -> folded letter."""
    table = np.zeros(64, np.uint8)
    for second in range(64):
        letter = unicodedata.normalize("NFD", chr(0xC0 + second).lower())[0]
        if letter not in "×÷":
            # Letters without an ASCII base (æ, ß, ø) stay what they are.
            table[second] = ord(letter) if letter.isascii() else ord(letter) & 0xFF
    return table


FOLD = _fold_table()
FOLD_LATIN = _latin_table()


@jit_borrowing
def fold_at(data, i, end, latin):
    """Code and length in bytes of the character at ``i``, where FOLD says MULTI."""
    lead = data[i]
    second = data[i + 1] if i + 1 < end else np.uint8(0)
    if lead == 0xC3:
        return latin[second & np.uint8(0x3F)], 2
    if lead == 0xC2:
        if second == 0xAA:
            return np.uint8(97), 2
        if second == 0xBA:
            return np.uint8(111), 2
        if second == 0xAD:
            return np.uint8(SKIP), 2
        joint = second == 0xA0 or second == 0xA9 or second == 0xAB or second == 0xBB
        return np.uint8(JOINT if joint else BREAK), 2
    if lead == 0xCC or (lead == 0xCD and second < 0xB0):
        return np.uint8(SKIP), 2
    if lead == 0xCD:
        return lead, 2
    third = data[i + 2] if i + 2 < end else np.uint8(0)
    if lead == 0xE2:
        if second == 0x80:
            if 0x8B <= third <= 0x8F or 0xAA <= third <= 0xAE:
                return np.uint8(SKIP), 3
            if 0x90 <= third <= 0x9F or third == 0xAF:
                return np.uint8(JOINT), 3
        return np.uint8(BREAK), 3
    if lead == 0xEF:
        mark = second == 0xBB and third == 0xBF
        return np.uint8(SKIP if mark else BREAK), 3
    return np.uint8(BREAK), 4
