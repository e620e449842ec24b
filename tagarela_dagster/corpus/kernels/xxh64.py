"""XXH64 (seed 0) of slices of a byte array, compiled: the hash that datatrove's MinHash uses.

The algorithm is xxHash's own (Cyan4973/xxHash, doc/xxhash_spec.md); a test compares it with the
``xxhash`` package for every length. Words make slices of ever changing length, which a processor
cannot foresee, so the tail of a slice is hashed without branches, twice as fast: every step is
computed and kept or not. That reads beyond the slice, hence PADDING.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.xxh_memory import load32, load64

PADDING = 32
"""Bytes, of any value, that must follow the last slice in its array."""

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)
_START_1 = np.uint64((0x9E3779B185EBCA87 + 0xC2B2AE3D27D4EB4F) % 2**64)
_START_4 = np.uint64((-0x9E3779B185EBCA87) % 2**64)
_ZERO = np.uint64(0)


@jit
def _rotate(value: Any, bits: int) -> Any:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@jit
def _round(accumulator: Any, lane: Any) -> Any:
    return _rotate(accumulator + lane * _P2, 31) * _P1


@jit
def _merge(value: Any, accumulator: Any) -> Any:
    return (value ^ _round(_ZERO, accumulator)) * _P1 + _P4


@jit
def xxh64(data: Bytes, start: int, end: int) -> Any:
    """XXH64 of ``data[start:end]``, as uint64; PADDING bytes must follow ``end``."""
    place = start
    if end - start >= 32:
        one, two, three, four = _START_1, _P2, _ZERO, _START_4
        while place + 32 <= end:
            one = _round(one, load64(data, place))
            two = _round(two, load64(data, place + 8))
            three = _round(three, load64(data, place + 16))
            four = _round(four, load64(data, place + 24))
            place += 32
        value = _rotate(one, 1) + _rotate(two, 7) + _rotate(three, 12) + _rotate(four, 18)
        value = _merge(_merge(_merge(_merge(value, one), two), three), four)
    else:
        value = _P5
    value += np.uint64(end - start)
    for _ in range(3):
        next_value = _rotate(value ^ _round(_ZERO, load64(data, place)), 27) * _P1 + _P4
        inside = place + 8 <= end
        value = next_value if inside else value
        place = place + 8 if inside else place
    next_value = _rotate(value ^ (np.uint64(load32(data, place)) * _P1), 23) * _P2 + _P3
    inside = place + 4 <= end
    value = next_value if inside else value
    place = place + 4 if inside else place
    rest = np.uint64(load32(data, place))
    for byte in range(3):
        lane = (rest >> np.uint64(8 * byte)) & np.uint64(0xFF)
        next_value = _rotate(value ^ (lane * _P5), 11) * _P1
        value = next_value if place + byte < end else value
    value = (value ^ (value >> np.uint64(33))) * _P2
    value = (value ^ (value >> np.uint64(29))) * _P3
    return value ^ (value >> np.uint64(32))


@jit
def xxh64_slices(data: Bytes, starts: Offsets, ends: Offsets) -> NDArray[np.uint64]:
    """(slices,) XXH64 of each ``data[starts[i]:ends[i]]``; PADDING bytes must follow the last."""
    out = np.empty(len(starts), np.uint64)
    for index in range(len(starts)):
        out[index] = xxh64(data, starts[index], ends[index])
    return out
