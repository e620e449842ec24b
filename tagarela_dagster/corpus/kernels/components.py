"""Connected components in one array, and the best member of every group.

``parent`` is a union-find forest, 4 bytes a node: a root is its own parent and the least node of
its tree, so the forest does not depend on the order of the edges (once ``flatten`` has run).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.compile import jit

Nodes = NDArray[np.uint32]
Keys = NDArray[np.uint64]


@jit
def find(parent: Nodes, node: int) -> int:
    """Root of a node; the path to it is halved on the way."""
    above = parent[node]
    while above != node:
        parent[node] = parent[above]
        node = parent[node]
        above = parent[node]
    return node


@jit
def unite(parent: Nodes, first: int, second: int) -> None:
    """Join the trees of two nodes under the lesser root."""
    a, b = find(parent, first), find(parent, second)
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@jit
def flatten(parent: Nodes) -> None:
    """Make every node's parent its root. A parent is never greater, so one pass is enough."""
    for node in range(parent.size):
        parent[node] = parent[parent[node]]


@jit
def count_members(root: Nodes, dead: NDArray[np.uint8], sizes: Nodes) -> int:
    """Count into ``sizes`` (nodes,) how many living nodes each root has.

    Args:
        dead: one bit a node (empty: all live).

    Returns:
        How many nodes are in groups of two or more.
    """
    for node in range(root.size):
        if dead.size == 0 or not (dead[node >> 3] >> (node & 7)) & 1:
            sizes[root[node]] += np.uint32(1)
    members = np.int64(0)
    for node in range(root.size):
        if sizes[node] > 1:
            members += sizes[node]
    return members


@jit
def list_members(
    root: Nodes, dead: NDArray[np.uint8], sizes: Nodes, members: Nodes, groups: Nodes
) -> int:
    """List the living nodes of groups of two or more, in order, and number their groups.

    Args:
        sizes: of ``count_members``; afterwards a root's entry is its group's number plus one.
        members, groups: (members,) outputs.

    Returns:
        Number of groups, which are numbered in the order of their roots.
    """
    number = 0
    for node in range(sizes.size):
        if sizes[node] > 1:
            number += 1
            sizes[node] = number
        else:
            sizes[node] = 0
    place = 0
    for node in range(root.size):
        group = sizes[root[node]]
        alive = dead.size == 0 or not (dead[node >> 3] >> (node & 7)) & 1
        if group > 0 and alive:
            members[place] = node
            groups[place] = group - 1
            place += 1
    return number


@jit
def narrow(groups: Nodes, alive: NDArray[np.uint8], key: Keys, least: Keys) -> int:
    """Leave alive in each group only the members whose key is least; return how many are left.

    Args:
        groups, alive, key: (members,).
        least: (groups,) scratch space.
    """
    least[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
    for member in range(groups.size):
        if alive[member] and key[member] < least[groups[member]]:
            least[groups[member]] = key[member]
    left = 0
    for member in range(groups.size):
        if alive[member]:
            if key[member] == least[groups[member]]:
                left += 1
            else:
                alive[member] = 0
    return left


@jit
def first_alive(groups: Nodes, alive: NDArray[np.uint8], first: Nodes) -> None:
    """Place of each group's first member that is alive, into ``first`` (groups,)."""
    for member in range(groups.size - 1, -1, -1):
        if alive[member]:
            first[groups[member]] = member


@jit
def string_words(data: NDArray[np.uint8], offsets: NDArray[np.int64], at: int, words: Keys) -> None:
    """Bytes ``at`` to ``at + 8`` of each text as a big-endian number, padded with zeros.

    Numbers compare as the texts' bytes do.
    """
    for row in range(offsets.size - 1):
        word = np.uint64(0)
        for place in range(offsets[row] + at, offsets[row] + at + 8):
            word <<= np.uint64(8)
            if place < offsets[row + 1]:
                word |= np.uint64(data[place])
        words[row] = word
