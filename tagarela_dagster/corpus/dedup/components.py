"""Connected components over arrays of edges: union-find in which a root is its component's least.

Nodes are numbered by the order in which documents survive, so the root of a component is its
survivor, whatever the order of the edges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.uint32]
MAX_NODES = 2**32


def new_forest(nodes: int) -> Nodes:
    """Parent of each node: every node its own root. Raises ValueError beyond 2**32 nodes."""
    if nodes > MAX_NODES:
        raise ValueError(f"{nodes} documents: at most {MAX_NODES} can be clustered at once")
    return np.arange(nodes, dtype=np.uint32)


def unite(parent: Nodes, first: Nodes, second: Nodes) -> None:
    """Join the components of ``first[i]`` and ``second[i]`` for every i, in place.

    Before and after, every node's parent is its root, the least node of its component. Each round
    hooks roots under the least root that an edge gives them and shortens the paths by doubling
    (Shiloach and Vishkin, J. Algorithms 3, 1982); it works on roots alone, so that its cost follows
    the edges.
    """
    if not len(first):
        return
    while True:
        first, second = parent[first], parent[second]
        apart = first != second
        if not apart.any():
            break
        first, second = first[apart], second[apart]
        high, low = np.maximum(first, second), np.minimum(first, second)
        np.minimum.at(parent, high, low)
        roots = np.unique(high)
        while True:
            shorter = parent[parent[roots]]
            if (shorter == parent[roots]).all():
                break
            parent[roots] = shorter
    # A path is as long as the rounds that it was hooked in.
    while True:
        shorter = parent[parent]
        if (shorter == parent).all():
            return
        parent[:] = shorter


def equal_runs(keys: tuple[NDArray[np.uint64], ...], nodes: Nodes) -> tuple[Nodes, Nodes]:
    """Pairs (member, least member) for all nodes whose keys are equal, the least left out.

    Args:
        keys: one or more (nodes,) arrays; nodes are equal when all of them are.
    """
    order = np.argsort(keys[0])
    new = _new_runs([keys[0][order]])
    if len(keys) > 1:
        # Few rows share even the first key: only these are sorted by all of them.
        order = order[_repeated(new)]
        order = order[np.lexsort([key[order] for key in keys])]
        new = _new_runs([key[order] for key in keys])
    repeated = _repeated(new)
    nodes = nodes[order[repeated]]
    if not len(nodes):
        return nodes, nodes
    starts = np.flatnonzero(new[repeated])
    least = np.repeat(np.minimum.reduceat(nodes, starts), np.diff(np.append(starts, len(nodes))))
    later = nodes != least
    return nodes[later], least[later]


def _new_runs(columns: Sequence[NDArray[np.uint64]]) -> NDArray[np.bool_]:
    """Where a row of sorted columns differs from the one before."""
    new = np.zeros(len(columns[0]), np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def _repeated(new: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows of runs of two or more."""
    last = np.append(new[1:], True)[: len(new)]
    return ~(new & last)
