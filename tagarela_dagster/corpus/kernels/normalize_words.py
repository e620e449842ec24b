"""Words of normalised texts: chunks looked up by their bytes, and cut where a table says.

The table is open-addressed by XXH64 and compares the bytes; corpus/dedup/chunks.py fills it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.xxh64 import xxh64


@jit
def find_chunks(
    data: Bytes,
    starts: Offsets,
    ends: Offsets,
    slots: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    keys: Bytes,
    key_ends: Offsets,
    found: NDArray[np.int32],
) -> int:
    """Write the number of each chunk, or -1, to ``found``; return how many are not known.

    Args:
        data: bytes that the chunks ``data[starts[i]:ends[i]]`` are of.
        slots: (a power of two,) number of an entry, or -1 where a slot is empty.
        hashes: (entries,) XXH64 of each known chunk.
        keys: bytes of the known chunks, one after the other.
        key_ends: (entries + 1,) where each ends; the first is 0.
    """
    mask = np.uint64(len(slots) - 1)
    missing = 0
    for index in range(len(starts)):
        start, length = starts[index], ends[index] - starts[index]
        value = xxh64(data, start, start + length)
        slot = value & mask
        entry = slots[slot]
        while entry >= 0:
            if hashes[entry] == value and key_ends[entry + 1] - key_ends[entry] == length:
                key, same = key_ends[entry], 0
                while same < length and keys[key + same] == data[start + same]:
                    same += 1
                if same == length:
                    break
            slot = (slot + np.uint64(1)) & mask
            entry = slots[slot]
        found[index] = entry
        missing += entry < 0
    return missing


@jit
def fill_slots(slots: NDArray[np.int32], hashes: NDArray[np.uint64], first: int, end: int) -> None:
    """Enter the entries ``first`` to ``end``, none of which is there yet."""
    mask = np.uint64(len(slots) - 1)
    for entry in range(first, end):
        slot = hashes[entry] & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = entry


@jit
def count_cuts(found: NDArray[np.int32], cut_ends: Offsets) -> int:
    """How many cuts the chunks ``found`` have together."""
    total = 0
    for index in range(len(found)):
        total += cut_ends[found[index] + 1] - cut_ends[found[index]]
    return total


@jit
def cut_chunks(
    data: Bytes,
    offsets: Offsets,
    starts: Offsets,
    found: NDArray[np.int32],
    cuts: Offsets,
    cut_ends: Offsets,
    out: Bytes,
    out_offsets: Offsets,
) -> None:
    """Copy the texts with a space put in at every cut.

    Args:
        starts: where each chunk that may be cut begins, in order.
        found: (chunks,) its number.
        cuts: bytes from the beginning of a chunk to each of its cuts, chunk after chunk.
        cut_ends: (entries + 1,) where in ``cuts`` those of a chunk end; the first is 0.
        out: as many bytes as the texts and the cuts have.
        out_offsets: (rows + 1,) written.
    """
    size, place, chunk = 0, offsets[0], 0
    for row in range(len(offsets) - 1):
        out_offsets[row] = size
        end = offsets[row + 1]
        while chunk < len(starts) and starts[chunk] < end:
            entry = found[chunk]
            for cut in range(cut_ends[entry], cut_ends[entry + 1]):
                size = _copy(data, place, starts[chunk] + cuts[cut], out, size)
                place = starts[chunk] + cuts[cut]
                out[size] = 0x20
                size += 1
            chunk += 1
        size = _copy(data, place, end, out, size)
        place = end
    out_offsets[len(offsets) - 1] = size


@jit
def _copy(data: Bytes, start: int, end: int, out: Bytes, size: int) -> Any:
    # Indices that cannot be negative let the compiler copy in vectors.
    for place in range(end - start):
        out[np.uint64(size + place)] = data[np.uint64(start + place)]
    return size + end - start
