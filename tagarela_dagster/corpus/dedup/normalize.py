"""Text as MinHash compares it: datatrove's ``simplify_text``, some ten times faster.

Lower case; numbers to ``0``; punctuation and control characters to spaces; white space to one
space; diacritics removed (datatrove, src/datatrove/utils/text.py, default ``TextNormConfig``).
Two texts that differ only in these are the same text to near-duplicate detection. All but case
and numbers is one table over code points; text with a character that the table cannot give is
left to datatrove.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
from datatrove.utils.text import PUNCTUATION, TextNormConfig, simplify_text
from numpy.typing import NDArray

_NUMBER = re.compile(r"\d+(?:[.,،٫⎖⎗⎘]\d+)?")
_TABLE_SIZE = 0x20000
"""The planes in use: what lies above (rare ideographs, tags) is left to datatrove."""
_REMOVED = 0
_UNKNOWN = 0xFFFFFFFF
_SPACE = 0x20


def normalize(text: str, *, numbers: bool = True) -> str:
    """``datatrove.utils.text.simplify_text(text)``; ``numbers=False`` leaves numbers as they are.

    Words of the result are separated by white space.
    """
    lower = text.lower()
    numbered = _NUMBER.sub("0", lower) if numbers else lower
    codes = np.frombuffer(numbered.encode("utf-32-le", "surrogatepass"), np.uint32)
    mapped = _table().take(codes, mode="clip")
    if (mapped == _UNKNOWN).any():
        return simplify_text(text, TextNormConfig(norm_numbers=numbers))
    space = mapped == _SPACE
    space[1:] &= space[:-1]
    space[:1] = False
    keep = ~space & (mapped != _REMOVED)
    return mapped[keep].tobytes().decode("utf-32-le").strip()


@cache
def _table() -> NDArray[np.uint32]:
    """What each code point becomes."""
    table = np.fromiter((_map(chr(code)) for code in range(_TABLE_SIZE)), np.uint32)
    table[-1] = _UNKNOWN  # every larger code point is clipped to it
    table[[ord(mark) for mark in PUNCTUATION]] = _SPACE
    return table


def _map(character: str) -> int:
    if character.isspace():
        return _SPACE
    parts = unicodedata.normalize("NFD", character)
    bases = [part for part in parts if unicodedata.category(part) != "Mn"]
    # Left to datatrove: what decomposes into several letters, what normalisation may move, and
    # what this Python's Unicode does not know but the regular expressions there may.
    moved = len(bases) > 1 or any(map(unicodedata.combining, bases))
    if moved or unicodedata.category(character) in ("Cn", "Cs"):
        return _UNKNOWN
    return ord(bases[0]) if bases else _REMOVED
