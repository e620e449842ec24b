"""Sort tables of hashes and join documents whose hashes are equal.

A table holds, for each document, a 64-bit key (for a 128-bit hash also its other half) and a
number. Time is linear in the rows, whatever the keys are; only speed hopes for keys that are
spread evenly, as hashes are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.components import Keys, Nodes, unite

SMALL = 24
"""Rows that insertion sorts faster than another round of counting."""
WIDE_ROWS = 1 << 16
"""From this many rows on a round tells 2,048 buckets apart, below it 256."""
WINDOW = 8_192
"""Rows that are joined at a time: their keys and the table of them stay in the L2 cache."""
MULTIPLIER = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)."""


@jit
def sort_pairs(keys: Keys, values: Nodes, spare_keys: Keys, spare_values: Nodes) -> None:
    """Sort pairs by key, in place; equal keys keep their order.

    Radix sort from the most significant bits, insertion sort for few rows.

    Args:
        keys, values: (rows,).
        spare_keys, spare_values: (rows,) scratch space.
    """
    stack = [(np.int64(0), np.int64(keys.size), np.int64(64))]
    counts = np.zeros(2_049, np.int64)
    while len(stack):
        low, high, unsorted = stack.pop()
        if high - low <= SMALL:
            for row in range(low + 1, high):
                key, value = keys[row], values[row]
                place = row
                while place > low and keys[place - 1] > key:
                    keys[place], values[place] = keys[place - 1], values[place - 1]
                    place -= 1
                keys[place], values[place] = key, value
            continue
        bits = min(unsorted, np.int64(11 if high - low >= WIDE_ROWS else 8))
        shift, mask = np.uint64(unsorted - bits), np.uint64((1 << bits) - 1)
        buckets = 1 << bits
        counts[: buckets + 1] = 0
        for row in range(low, high):
            counts[((keys[row] >> shift) & mask) + np.uint64(1)] += 1
        most = counts[1 : buckets + 1].max()
        for bucket in range(buckets):
            counts[bucket + 1] += counts[bucket]
        if most < high - low:
            for row in range(low, high):
                bucket = (keys[row] >> shift) & mask
                place = low + counts[bucket]
                counts[bucket] += 1
                spare_keys[place], spare_values[place] = keys[row], values[row]
            keys[low:high] = spare_keys[low:high]
            values[low:high] = spare_values[low:high]
        else:
            counts[:buckets] = counts[1 : buckets + 1]
        if unsorted > bits:
            start = np.int64(0)
            for bucket in range(buckets):
                if counts[bucket] - start > 1:
                    stack.append((low + start, low + counts[bucket], unsorted - bits))
                start = counts[bucket]


@jit
def join(
    keys: Keys,
    other: Keys,
    nodes: Nodes,
    starts: NDArray[np.int64],
    dead: NDArray[np.uint8],
    parent: Nodes,
) -> None:
    """Unite all living nodes whose keys are equal.

    Args:
        keys, nodes: (rows,) sorted slices, one after the other, each ascending in ``keys``.
        other: (rows,) the other half of a 128-bit key, or empty.
        starts: (slices + 1,) where each slice begins.
        dead: one bit a node (empty: all live).
        parent: (all nodes,) forest.
    """
    if keys.size == 0:
        return
    slices = starts.size - 1
    first, last = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0)
    for number in range(slices):
        if starts[number] < starts[number + 1]:
            first = min(first, keys[starts[number]])
            last = max(last, keys[starts[number + 1] - 1])
    # Windows: equal steps of key space, as many as give WINDOW rows on average.
    shift = np.uint64(0)
    while shift < 63 and ((last - first) >> shift) > np.uint64(keys.size // WINDOW):
        shift += np.uint64(1)
    windows = np.int64((last - first) >> shift) + 1
    cursors, ends = starts[:-1].copy(), starts[:-1].copy()
    slots = np.zeros(2 * WINDOW, np.uint32)
    for window in range(windows):
        rows = np.int64(0)
        for number in range(slices):
            end = ends[number]
            while end < starts[number + 1] and (keys[end] - first) >> shift <= np.uint64(window):
                end += 1
            ends[number] = end
            rows += end - cursors[number]
        size = np.int64(64)
        bits = np.uint64(6)
        while size < 2 * rows:
            size *= 2
            bits += np.uint64(1)
        if size > slots.size:
            slots = np.zeros(size, np.uint32)
        slots[:size] = 0
        for number in range(slices):
            for row in range(cursors[number], ends[number]):
                node = np.int64(nodes[row])
                if dead.size and (dead[node >> 3] >> (node & 7)) & 1:
                    continue
                key = keys[row]
                slot = np.int64((key * np.uint64(MULTIPLIER)) >> (np.uint64(64) - bits))
                while True:
                    there = np.int64(slots[slot])
                    if there == 0:
                        slots[slot] = row + 1
                        break
                    if keys[there - 1] == key and (
                        other.size == 0 or other[there - 1] == other[row]
                    ):
                        unite(parent, nodes[there - 1], node)
                        break
                    slot = (slot + 1) & (size - 1)
            cursors[number] = ends[number]
