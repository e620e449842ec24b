"""MinHash of word n-grams, compiled: the least value of every hash function over a text's shingles.

The value of function k at shingle x is datatrove's ``(a*x + b) mod P``, P = 2**61 - 1, where
``v = a*x + b`` wraps at 64 bits. With ``low`` the lower 61 bits of v and ``high`` the upper 3, it
is ``low + high``, or P less if that is P or more. Two operations bound it from below: ``8*v + 64``
modulo 2**64 is ``8*low + 64``, or under 64 where the value may pass P. So of PART shingles at a
time only the least bound of every function is taken (a multiplication, an addition and a minimum
for a shingle and function, in vectors), and values are computed in full only for the part with
the least bound, and for any other whose bound does not rule it out. The result is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.xxh64 import xxh64

Hashes = NDArray[np.uint64]

PRIME = np.uint64((1 << 61) - 1)
PART = 32
"""Shingles with one bound for each function."""
HALF = 8
"""Half a part: as many shingles are held in registers while the functions go by."""
BLOCK = 4_096
"""Shingles held at a time: 32 KiB, so that they stay in the processor's first cache."""
WINDOW = 4_096
"""Bytes whose words are found at a time."""

_SHIFT = np.uint64(61)
_EIGHT = np.uint64(8)
_SLACK = np.uint64(64)
_SIGN = np.uint64(1 << 63)
_NEAR_PRIME = PRIME - _EIGHT
"""From here on 8 times a value and the slack pass 64 bits."""
_MOST = np.int64((1 << 63) - 1)


@jit
def sign_texts(
    data: Bytes,
    offsets: Offsets,
    n_grams: int,
    a: Hashes,
    b: Hashes,
    words: NDArray[np.int64],
    least: Hashes,
) -> None:
    """Write the number of words and the least value of every function of every text.

    Args:
        data: words with one space between; PADDING of xxh64.py more bytes than the texts.
        offsets: (rows + 1,) where each text begins and ends.
        a: (functions,) factors.
        b: (functions,) summands.
        words: (rows,) written.
        least: (rows, functions) written; PRIME where a text has fewer than ``n_grams`` words.
    """
    factors, summands = bound_parameters(a, b)
    block = np.empty(BLOCK, np.uint64)
    places = np.empty(WINDOW + n_grams + 1, np.int64)
    bounds = np.empty((4, len(a)), np.int64)
    for row in range(len(offsets) - 1):
        end, filled = offsets[row + 1], 0
        least[row, :] = PRIME
        places[0] = offsets[row]
        known = 1  # words whose beginning is known and that may begin a shingle
        words[row] = 1 if end > offsets[row] else 0
        for start in range(offsets[row], end, WINDOW):
            stop = min(start + WINDOW, end)
            before = known
            for place in range(start, stop):
                places[known] = place + 1
                known += data[place] == 0x20
            words[row] += known - before
            places[known] = end + 1
            # A shingle ends before the word after it, or with the text.
            shingles = max(known - n_grams + (1 if stop == end else 0), 0)
            for first in range(shingles):
                block[filled] = xxh64(data, places[first], places[first + n_grams] - 1)
                filled += 1
                if filled == BLOCK:
                    lower(block, filled, a, b, factors, summands, bounds, least[row])
                    filled = 0
            for first in range(shingles, known):
                places[first - shingles] = places[first]
            known -= shingles
        if filled:
            lower(block, filled, a, b, factors, summands, bounds, least[row])


@jit
def bound_parameters(a: Hashes, b: Hashes) -> Any:
    """Factors and summands of the bounds, whose sign bit is turned.

    They are compared as signed numbers then, which every vector unit can do; but not computed as
    such, for signed overflow has no meaning to the compiler.
    """
    return a * _EIGHT, (b * _EIGHT + _SLACK) ^ _SIGN


@jit
def lower(
    block: Hashes,
    filled: int,
    a: Hashes,
    b: Hashes,
    factors: Hashes,
    summands: Hashes,
    bounds: NDArray[np.int64],
    least: Hashes,
) -> None:
    """Lower ``least`` to the values of the block's shingles.

    Args:
        block: shingles, room for a multiple of PART; what follows the ``filled`` is written over.
        filled: how many shingles there are, at least one.
        factors: (functions,) of the bounds.
        summands: (functions,) of the bounds.
        bounds: (4, functions) to work in.
        least: (functions,).
    """
    # A shingle that comes twice changes no minimum, so the last part is filled with the last.
    while filled % PART:
        block[filled] = block[filled - 1]
        filled += 1
    _bounds(block, filled, factors, summands, bounds)
    best, second, where = bounds[0], bounds[1], bounds[2]
    for k in range(len(a)):
        if _may_lower(best[k], least[k]):
            least[k] = _least(block[where[k] : where[k] + PART], a[k], b[k], least[k])
            if _may_lower(second[k], least[k]):
                for start in range(0, filled, PART):
                    least[k] = _least(block[start : start + PART], a[k], b[k], least[k])


@jit
def _bounds(
    block: Hashes, filled: int, factors: Hashes, summands: Hashes, bounds: NDArray[np.int64]
) -> None:
    """Of each function: the least bound of a part, that of all other parts, where the part is."""
    best, second, where, part = bounds[0], bounds[1], bounds[2], bounds[3]
    for k in range(len(part)):
        best[k], second[k], where[k] = _MOST, _MOST, 0
    for start in range(0, filled, PART):
        for k in range(len(part)):
            part[k] = _MOST
        for first in range(start, start + PART, HALF):
            _bound_half(block, first, factors, summands, part)
        for k in range(len(part)):
            value, former = part[k], best[k]
            second[k] = min(second[k], max(former, value))
            best[k] = min(former, value)
            where[k] = start if value < former else where[k]


@jit
def _bound_half(
    block: Hashes, first: int, factors: Hashes, summands: Hashes, part: NDArray[np.int64]
) -> None:
    """Lower the bounds of a part to those of HALF shingles."""
    x0, x1, x2, x3 = block[first], block[first + 1], block[first + 2], block[first + 3]
    x4, x5, x6, x7 = block[first + 4], block[first + 5], block[first + 6], block[first + 7]
    for k in range(len(part)):
        a, b = factors[k], summands[k]
        value = min(part[k], min(np.int64(x0 * a + b), np.int64(x1 * a + b)))
        value = min(value, min(np.int64(x2 * a + b), np.int64(x3 * a + b)))
        value = min(value, min(np.int64(x4 * a + b), np.int64(x5 * a + b)))
        part[k] = min(value, min(np.int64(x6 * a + b), np.int64(x7 * a + b)))


@jit
def _may_lower(bound: int, least: Any) -> Any:
    """Whether a shingle with this bound can have a value below ``least``."""
    unsigned = np.uint64(bound) ^ _SIGN
    return least >= _NEAR_PRIME or unsigned < least * _EIGHT + _SLACK


@jit
def _least(part: Hashes, a: Any, b: Any, least: Any) -> Any:
    """Least value of one function over a part, and ``least``."""
    for index in range(len(part)):  # PART, but a loop that is not unrolled is done in vectors
        value = part[index] * a + b
        value = (value & PRIME) + (value >> _SHIFT)
        value = min(value, value - PRIME)  # which is huge where value < PRIME
        least = min(least, value)
    return least


@jit
def hash_bands(least: Hashes, rows: int, bands: Hashes) -> None:
    """XXH64 of the ``rows`` values of each band, 8 bytes each, little-endian.

    Args:
        least: (texts, bands * rows).
        bands: (texts, bands) written.
    """
    texts, count = bands.shape
    data = np.empty(8 * rows + 32, np.uint8)
    for text in range(texts):
        for band in range(count):
            for row in range(rows):
                value = least[text, band * rows + row]
                for byte in range(8):
                    data[8 * row + byte] = (value >> np.uint64(8 * byte)) & np.uint64(0xFF)
            bands[text, band] = xxh64(data, 0, 8 * rows)
