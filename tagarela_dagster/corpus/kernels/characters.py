"""Character classes for kernels: what Python's own str methods say, as a table over code points.

A kernel that asks this table decides as ``str.split``, ``str.splitlines``, ``str.isalpha`` and so
on would, for every code point; a test compares all of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.compile import jit_borrowing

SPACE = 1 << 0
"""``str.isspace``: where ``str.split()`` splits and what ``str.strip()`` takes."""
BREAK = 1 << 1
"""Where ``str.splitlines`` breaks a line."""
ALPHA = 1 << 2
"""``str.isalpha``."""
PUNCTUATION = 1 << 3
"""In datatrove's PUNCTUATION_SET."""
TERMINAL = 1 << 4
"""In datatrove's TERMINAL_PUNCTUATION."""
DECIMAL = 1 << 5
"""``str.isdecimal``, which is ``\\d``."""
UPPER = 1 << 6
"""``str.isupper``."""
WORD = 1 << 7
"""``\\w``."""
LETTER = 1 << 8
"""A letter to the line clean-up: ``\\w``, but no digit, underscore, superscript or fraction."""
PUNCT = 1 << 9
"""Unicode category P: what spaCy's ``is_punct`` asks of every character."""
ENDS_SENTENCE = 1 << 10
"""Among the marks at which spaCy's sentencizer may end a sentence."""

FREE_BITS = 16
"""The lowest bit that another table may use (``kernels.spacy_classes``)."""

_BLOCK = 128
_BEYOND = 0x110000
_PLANES = (range(0xD800), range(0xE000, 0x32400), range(0xE0000, 0xE0200))
"""Every code point that can have a class: the rest is unassigned or private, or half of a pair."""

SENTENCE_ENDS = frozenset(
    "!.?։؟۔܀܁܂߹।॥၊။።፧፨᙮᜵᜶᠃᠉᥄᥅᪨᪩᪪᪫᭚᭛᭞᭟᰻᰼᱾᱿‼‽⁇⁈⁉⸮⸼꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫﹒﹖﹗！．？"
    "𐩖𐩗𑁇𑁈𑂾𑂿𑃀𑃁𑅁𑅂𑅃𑇅𑇆𑇍𑇞𑇟𑈸𑈹𑈻𑈼𑊩𑑋𑑌𑗂𑗃𑗉𑗊𑗋𑗌𑗍𑗎𑗏𑗐𑗑𑗒𑗓𑗔𑗕𑗖𑗗𑙁𑙂𑜼𑜽𑜾𑩂𑩃𑪛𑪜𑱁𑱂𖩮𖩯𖫵𖬷𖬸𖭄𛲟𝪈｡。"
)
"""``spacy.pipeline.Sentencizer.default_punct_chars`` (a test compares them)."""


class Classes(NamedTuple):
    """Two-level table: ``blocks[(index[code >> 7] << 7) + (code & 127)]`` is a set of class bits.

    The first 128 entries of ``blocks`` are those of ASCII.
    """

    index: NDArray[np.int64]
    blocks: NDArray[np.uint32]


def _tests() -> dict[int, Callable[[str], object]]:
    word, letter = re.compile(r"\w"), re.compile(r"[^\W\d_²³¹¼½¾]")
    return {
        SPACE: str.isspace,
        ALPHA: str.isalpha,
        PUNCTUATION: PUNCTUATION_SET.__contains__,
        TERMINAL: TERMINAL_PUNCTUATION.__contains__,
        DECIMAL: str.isdecimal,
        UPPER: str.isupper,
        WORD: word.match,
        LETTER: letter.match,
        PUNCT: lambda c: unicodedata.category(c)[0] == "P",
        ENDS_SENTENCE: SENTENCE_ENDS.__contains__,
        BREAK: "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029".__contains__,
    }


@lru_cache(maxsize=1)
def flat_classes() -> NDArray[np.uint32]:
    """(0x110000,) class bits of every code point."""
    flat = np.zeros(_BEYOND, np.uint32)
    for bit, test in _tests().items():
        for plane in _PLANES:
            add_class(flat, bit, (code for code in plane if test(chr(code))))
    return flat


def add_class(flat: NDArray[np.uint32], bit: int, codes: Iterable[int]) -> None:
    """Set a bit of some code points in a flat table."""
    flat[np.fromiter(codes, np.int64)] |= np.uint32(bit)


def compact(flat: NDArray[np.uint32]) -> Classes:
    """Two-level table with the same answers as a flat one: equal blocks are kept once."""
    rows = flat.reshape(-1, _BLOCK)
    numbers: dict[bytes, int] = {}
    index = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], np.int64)
    blocks = np.frombuffer(b"".join(numbers), np.uint32).copy()
    return Classes(index, blocks)


@lru_cache(maxsize=1)
def character_classes() -> Classes:
    """The table, built once a process (a tenth of a second)."""
    return compact(flat_classes())


@jit_borrowing
def decode(data, at, end):
    """Code point at ``data[at]`` and its size in bytes; a cut or stray byte is U+FFFD of 1 byte."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, 1
    if lead >= 0xC2 and lead < 0xE0 and at + 1 < end:
        return ((lead & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F), 2
    if lead >= 0xE0 and lead < 0xF0 and at + 2 < end:
        second, third = np.int64(data[at + 1]) & 0x3F, np.int64(data[at + 2]) & 0x3F
        return ((lead & 0xF) << 12) | (second << 6) | third, 3
    if lead >= 0xF0 and lead < 0xF5 and at + 3 < end:
        second, third = np.int64(data[at + 1]) & 0x3F, np.int64(data[at + 2]) & 0x3F
        code = ((lead & 0x7) << 18) | (second << 12) | (third << 6)
        return min(code | (np.int64(data[at + 3]) & 0x3F), 0x10FFFF), 4
    return 0xFFFD, 1


@jit_borrowing
def class_of(code, classes):
    """Class bits of a code point."""
    return np.int64(classes.blocks[(classes.index[code >> 7] << 7) + (code & 127)])
