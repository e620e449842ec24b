"""Connected components over arrays of edges: union-find in which a root is its component's least.

Nodes are numbered by the order in which documents survive, so the root of a component is its
survivor, whatever the order of the edges.
"""

from __future__ import annotations

from typing import Any

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
    if not len(nodes):
        return nodes, nodes
    columns: list[NDArray[Any]] = [nodes, *keys]
    order = np.lexsort(columns)
    nodes = nodes[order]
    same = np.ones(len(nodes) - 1, np.bool_)
    for key in keys:
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
    least = np.repeat(nodes[starts], np.diff(np.append(starts, len(nodes))))
    later = np.concatenate([[False], same])
    return nodes[later], least[later]
