from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tagarela_dagster.corpus.dedup.components import equal_runs, new_forest, unite

NODES = 24
EDGES = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=40)


def brute_force(edges: list[tuple[int, int]]) -> list[int]:
    """Least node that each node reaches, by walking."""
    label = list(range(NODES))
    changed = True
    while changed:
        changed = False
        for a, b in edges:
            low = min(label[a], label[b])
            changed = changed or label[a] != low or label[b] != low
            label[a] = label[b] = low
    return label


def columns(edges: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(edges, np.uint32).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


@given(st.lists(EDGES, max_size=4), st.randoms())
def test_components_equal_brute_force_in_any_order(batches: list, random: object) -> None:
    expected = brute_force([edge for batch in batches for edge in batch])
    for _ in range(2):
        parent = new_forest(NODES)
        for batch in batches:
            unite(parent, *columns(batch))
        assert parent.tolist() == expected
        random.shuffle(batches)  # type: ignore[attr-defined]


def test_a_long_path_and_a_star_become_one_component_each() -> None:
    size = 5_000
    path = np.arange(size - 1, dtype=np.uint32)
    parent = new_forest(2 * size)
    unite(parent, path, path + 1)
    centre = np.full(size - 1, 2 * size - 1, np.uint32)
    unite(parent, centre, path + size)
    assert (parent[:size] == 0).all()
    assert (parent[size:] == size).all()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2))))
def test_equal_runs_pair_every_later_node_with_the_least(keys: list[tuple[int, int]]) -> None:
    nodes = np.arange(len(keys), dtype=np.uint32)[::-1].copy()
    high, low = np.array(keys, np.uint64).reshape(-1, 2).T
    later, least = equal_runs((high.copy(), low.copy()), nodes)
    key_of = dict(zip(nodes.tolist(), keys, strict=True))
    first = {}
    for node in range(len(keys)):
        first.setdefault(key_of[node], node)
    expected = {node: first[key_of[node]] for node in key_of if first[key_of[node]] != node}
    assert dict(zip(later.tolist(), least.tolist(), strict=True)) == expected
