"""Equal hashes of several documents: which are shared, by whom first, and in what runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.components import Keys, Nodes

NOBODY = np.uint32(0xFFFFFFFF)


@jit
def order_equal(keys: Keys, other: Keys, values: Nodes) -> None:
    """Sort rows of equal keys by the other half, in place; equal rows keep their order.

    Insertion sort: two halves under one key are a collision of 64 bits.
    """
    for row in range(1, keys.size):
        place = row
        half, value = other[row], values[row]
        while place > 0 and keys[place - 1] == keys[row] and other[place - 1] > half:
            other[place], values[place] = other[place - 1], values[place - 1]
            place -= 1
        other[place], values[place] = half, value


@jit
def _group_end(keys: Keys, other: Keys, start: int) -> int:
    end = start + 1
    while end < keys.size and keys[end] == keys[start]:
        if other.size and other[end] != other[start]:
            break
        end += 1
    return end


@jit
def shared(keys: Keys, other: Keys, nodes: Nodes, least: int, chosen: NDArray[np.bool_]) -> None:
    """Choose the rows of every group of equal hashes that has at least ``least`` documents.

    Args:
        keys, other, nodes: (rows,) sorted by key, other half (may be empty) and node.
    """
    start = 0
    while start < keys.size:
        end = _group_end(keys, other, start)
        documents = 1
        for row in range(start + 1, end):
            documents += nodes[row] != nodes[row - 1]
        for row in range(start, end):
            chosen[row] = documents >= least
        start = end


@jit
def first_owners(keys: Keys, other: Keys, ranks: Nodes, owners: Nodes) -> None:
    """For each row the first row of its group that has the least rank.

    Args:
        keys, other, ranks: (rows,) sorted by key and other half.
    """
    start = 0
    while start < keys.size:
        end = _group_end(keys, other, start)
        best = start
        for row in range(start + 1, end):
            if ranks[row] < ranks[best]:
                best = row
        for row in range(start, end):
            owners[row] = best
        start = end


@jit
def _stretch_of(firsts: Offsets, ordinal: int) -> int:
    return np.searchsorted(firsts, ordinal, side="right") - 1


@jit
def copied_runs(
    owner: Nodes, firsts: Offsets, members: Nodes, words: Offsets, length: int, runs: Offsets
) -> int:
    """Join passages that follow each other in two documents to runs.

    Args:
        owner: (passages,) the earliest document's equal passage, or NOBODY.
        firsts: (stretches + 1,) first passage of each stretch.
        members, words: (stretches,) document and first word of each.
        length: words of a passage.
        runs: (runs, 5) document, first word, number of words, earlier document, its first word;
            with fewer rows the rest is only counted.

    Returns:
        How many runs there are.
    """
    count = 0
    for stretch in range(members.size):
        at, end = firsts[stretch], firsts[stretch + 1]
        while at < end:
            if owner[at] == NOBODY:
                at += 1
                continue
            source = np.int64(owner[at])
            place = _stretch_of(firsts, source)
            last = at + 1
            while (
                last < end
                and np.int64(owner[last]) == source + last - at
                and source + last - at < firsts[place + 1]
            ):
                last += 1
            if count < len(runs):
                runs[count, 0] = members[stretch]
                runs[count, 1] = words[stretch] + at - firsts[stretch]
                runs[count, 2] = last - at + length - 1
                runs[count, 3] = members[place]
                runs[count, 4] = words[place] + source - firsts[place]
            count += 1
            at = last
    return count
