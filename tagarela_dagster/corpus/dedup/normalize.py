"""Text as MinHash compares it: datatrove's ``simplify_text``, in machine code where it can be.

Lower case; numbers to ``0``; punctuation and control characters to spaces; white space to one
space; diacritics removed (datatrove, src/datatrove/utils/text.py, default ``TextNormConfig``).
Two texts that differ only in these are the same text to near-duplicate detection.

``normalize_texts`` does a column at once. Its table over code points is made by datatrove's own
function, and a text with a character that no table can give goes through that function whole, so
both give the same words whatever the text.
"""

from __future__ import annotations

import string
import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
import regex
from datatrove.utils.text import TextNormConfig, simplify_text
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels import normalize as kernel
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.xxh64 import PADDING

SEPARATORS = ".,،٫⎖⎗⎘"
"""What may stand inside a number (datatrove's NUMBERS_PATTERN)."""

_MARK = "\uffff"
"""No character, so nothing happens to it and nothing beside it changes because of it."""
_FINAL_SIGMA = "Σ"
"""The only character whose lower case depends on its neighbours."""
_TABLE_RANGES = ((0, 0xD800), (0xE000, 0xFFFF), (0x10000, 0x20000), (0x2F800, 0x2FA20)) + (
    (0xE0100, 0xE01F0),
)
"""All other code points stay as they are; a test goes through every one of them."""
_SURROGATES = range(0xD8, 0xE0)
"""Pages of code points that no valid text has."""


@dataclass(frozen=True)
class Chunks:
    """Normalised texts, their chunks with one space between.

    Attributes:
        data: UTF-8 bytes, PADDING more than the texts have.
        offsets: (rows + 1,) where each text begins and ends.
        hard_starts: (hard,) where chunks begin that have something else than letters a to z.
        hard_ends: (hard,) where they end.
        by_python: texts that had to go through datatrove's function.
    """

    data: Bytes
    offsets: Offsets
    hard_starts: Offsets
    hard_ends: Offsets
    by_python: int


@dataclass(frozen=True)
class Table:
    """What every code point becomes (see corpus/kernels/normalize.py)."""

    small: Bytes
    pages: NDArray[np.uint16]
    entries: NDArray[np.uint32]
    pool: Bytes


def normalize(text: str, *, numbers: bool = True) -> str:
    """``datatrove.utils.text.simplify_text(text)``; ``numbers=False`` leaves numbers as they are.

    Words of the result are separated by white space.
    """
    return simplify_text(text, TextNormConfig(norm_numbers=numbers))


def normalize_texts(data: Bytes, offsets: Offsets, *, numbers: bool = True) -> Chunks:
    """Normalise texts given as UTF-8 bytes and (rows + 1,) offsets."""
    table, rows = code_point_table(), len(offsets) - 1
    size = int(offsets[-1] - offsets[0])
    out = np.empty(kernel.EXPANSION * size + rows + PADDING, np.uint8)
    ends, unknown = np.zeros(rows + 1, np.int64), np.zeros(rows, np.bool_)
    hard = np.empty((2, size // 2 + rows + 1), np.int64)
    arguments = (table.small, table.pages, table.entries, table.pool, out, ends, unknown)
    found = kernel.normalize_texts(data, offsets, numbers, *arguments, hard[0], hard[1])
    by_python = int(np.count_nonzero(unknown))
    if by_python:
        out, ends = _with_pythons(data, offsets, numbers, out, ends, unknown)
        hard = np.empty((2, len(out) // 2 + rows + 1), np.int64)
        found = kernel.hard_chunks(out, ends, hard[0], hard[1])
    return Chunks(out[: ends[-1] + PADDING], ends, hard[0, :found], hard[1, :found], by_python)


def _with_pythons(
    data: Bytes,
    offsets: Offsets,
    numbers: bool,
    out: Bytes,
    ends: Offsets,
    unknown: NDArray[np.bool_],
) -> tuple[Bytes, Offsets]:
    """The texts with the ``unknown`` ones, empty so far, in their places."""
    pieces, start, sizes = [], 0, np.diff(ends)
    for row in np.flatnonzero(unknown).tolist():
        text = data[offsets[row] : offsets[row + 1]].tobytes().decode("utf-8", "replace")
        words = " ".join(normalize(text, numbers=numbers).split()).encode()
        pieces += [out[start : ends[row]], np.frombuffer(words, np.uint8)]
        start, sizes[row] = int(ends[row]), len(words)
    pieces += [out[start : ends[-1]], np.zeros(PADDING, np.uint8)]
    return np.concatenate(pieces), np.concatenate([[0], np.cumsum(sizes)])


@cache
def code_point_table() -> Table:
    """The table, made once a process (0.1 s)."""
    codes = [code for start, end in _TABLE_RANGES for code in range(start, end)]
    characters = [chr(code) for code in codes]
    joined = _MARK.join(["", *characters, ""])
    results = simplify_text(joined, TextNormConfig(norm_numbers=False)).split(_MARK)[1:-1]
    digits = set(regex.findall(r"\p{Nd}", joined))
    flat = np.full(0x110000, kernel.SAME, np.uint32)
    pool = bytearray()
    for code, character, result in zip(codes, characters, results, strict=True):
        if result == " ":
            entry = int(kernel.SPACE)
        elif result == character:
            entry = int(kernel.SAME)
        else:
            encoded = result.encode()
            entry = len(pool) << kernel.PLACE_BITS | len(encoded)
            pool += encoded
        if character in digits:
            entry |= int(kernel.DIGIT)
        if character in SEPARATORS:
            entry |= int(kernel.SEPARATOR)
        # Normalisation may move a mark that is not removed past its neighbours.
        moved = any(map(unicodedata.combining, result))
        too_long = len(result.encode()) > kernel.EXPANSION * len(character.encode())
        if character == _FINAL_SIGMA or moved or too_long:
            entry = int(kernel.UNKNOWN)
        flat[code] = entry
    by_page = flat.reshape(-1, 256)
    by_page[_SURROGATES.start : _SURROGATES.stop] = kernel.UNKNOWN
    distinct: dict[bytes, int] = {}
    numbers = [distinct.setdefault(page.tobytes(), len(distinct)) for page in by_page]
    entries = np.frombuffer(b"".join(distinct), np.uint32)
    plain = {" ", *string.ascii_lowercase}
    few = results[: kernel.SMALL]
    small = np.array([ord(one) if one in plain else 0 for one in few], np.uint8)
    pages = np.array(numbers, np.uint16)
    return Table(small, pages, entries, np.frombuffer(pool, np.uint8))
