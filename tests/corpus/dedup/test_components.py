from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.dedup import components
from tagarela_dagster.corpus.dedup.components import TooManyDocumentsError, group, number
from tagarela_dagster.corpus.dedup.index import Index
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.corpus.dedup.spool import Spool
from tagarela_dagster.corpus.kernels.components import flatten, unite
from tagarela_dagster.corpus.kernels.join import WINDOW, join, sort_pairs

NODES = 24
EDGES = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=40)
NOTHING, NONE_DEAD = np.empty(0, np.uint64), np.zeros(0, np.uint8)
GENERATOR = np.random.default_rng(3)
KEYS = {
    "spread": GENERATOR.integers(0, 2**64, 40_000, dtype=np.uint64),
    "repeated": GENERATOR.integers(0, 2**64, 500, dtype=np.uint64)[
        GENERATOR.integers(0, 500, 40_000)
    ],
    "equal": np.full(30_000, 2**64 - 1, np.uint64),
    "crowded": GENERATOR.integers(0, 9_000, 40_000).astype(np.uint64),
    "two ends": np.where(np.arange(99) % 2, 2**64 - 1, 0).astype(np.uint64),
    "none": NOTHING,
}
kinds = pytest.mark.parametrize("kind", KEYS)


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


@settings(max_examples=50, deadline=None)
@given(EDGES, st.randoms())
def test_components_equal_brute_force_in_any_order(edges: list, random: object) -> None:
    for _ in range(2):
        parent = np.arange(NODES, dtype=np.uint32)
        for first, second in edges:
            unite(parent, first, second)
        flatten(parent)
        assert parent.tolist() == brute_force(edges)
        random.shuffle(edges)  # type: ignore[attr-defined]


def test_a_long_path_becomes_one_component() -> None:
    parent = np.arange(5_000, dtype=np.uint32)
    for node in range(4_999, 0, -1):
        unite(parent, node - 1, node)
    flatten(parent)
    assert not parent.any()


@kinds
def test_pairs_sort_by_key_and_keep_the_order_of_equal_keys(kind: str) -> None:
    keys, values = KEYS[kind].copy(), np.arange(len(KEYS[kind]), dtype=np.uint32)
    sort_pairs(keys, values, np.empty_like(keys), np.empty_like(values))
    order = np.argsort(KEYS[kind], kind="stable")
    assert (keys == KEYS[kind][order]).all()
    assert (values == order).all()


@kinds
@pytest.mark.parametrize("budget", [1_000, 2_000_000, 1 << 30])
def test_a_spool_sorts_in_any_amount_of_memory(kind: str, budget: int, tmp_path: Path) -> None:
    keys = KEYS[kind][:20_000]
    spool = Spool(tmp_path, "band", True, budget)
    for start in range(0, len(keys), 7_000):
        part = keys[start : start + 7_000]
        spool.add(part, ~part, np.arange(start, start + len(part), dtype=np.uint32))
        if 2 * spool.held > budget:
            spool.spill()
    pieces = [*spool.drain(), (NOTHING, NOTHING, np.empty(0, np.uint32))]
    found, other, documents = (np.concatenate(part) for part in zip(*pieces, strict=True))
    order = np.argsort(keys, kind="stable")
    assert (found == keys[order]).all()
    assert (other == ~keys[order]).all()
    assert (documents == order).all()
    assert not list(tmp_path.iterdir())


@kinds
@pytest.mark.parametrize("slices", [1, 5])
def test_a_join_unites_the_nodes_of_equal_keys(kind: str, slices: int) -> None:
    keys = KEYS[kind]
    assert len(KEYS["spread"]) > 4 * WINDOW
    parent = np.arange(len(keys), dtype=np.uint32)
    joined(keys, NOTHING, NONE_DEAD, slices, parent)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    assert (parent == first[inverse]).all()


def test_a_join_compares_both_halves_and_leaves_out_the_dead() -> None:
    keys = np.array([7, 7, 7, 7, 8, 8], np.uint64)
    other = np.array([1, 2, 1, 2, 3, 3], np.uint64)
    dead = np.array([0b010000], np.uint8)
    parent = np.arange(6, dtype=np.uint32)
    joined(keys, other, dead, 1, parent)
    assert parent.tolist() == [0, 1, 0, 1, 4, 5]


def joined(
    keys: np.ndarray, other: np.ndarray, dead: np.ndarray, slices: int, parent: np.ndarray
) -> None:
    """Join ``keys`` dealt into sorted slices; a node is a key's place."""
    parts = []
    for nodes in np.array_split(np.arange(len(keys), dtype=np.uint32), slices):
        parts.append(nodes[np.argsort(keys[nodes], kind="stable")])
    nodes = np.concatenate(parts)
    starts = np.cumsum([0, *map(len, parts)])
    halves = other[nodes] if len(other) else other
    join(keys[nodes], halves, nodes, starts, dead, parent)
    flatten(parent)


def test_groups_are_the_trees_with_two_living_nodes(tmp_path: Path) -> None:
    parent = np.array([0, 0, 2, 2, 2, 5, 6, 5], np.uint32)
    with Scratch(tmp_path / "scratch") as scratch:
        groups = group(parent, scratch, dead=np.array([0b00000001], np.uint8))
    assert groups.members.tolist() == [2, 3, 4, 5, 7]
    assert groups.of.tolist() == [0, 0, 0, 1, 1]
    assert groups.count == 2


def test_more_documents_than_numbers_are_refused() -> None:
    index = Index(Path("a.index"), "", (("00000", 2**31, 2**31),), (), 0)
    _, nodes = number([("a@1", 1, (), index), ("a@2", 1, (), index)])
    assert nodes == components.MAX_DOCUMENTS
    with pytest.raises(TooManyDocumentsError, match="6442450944 documents are kept: at most"):
        number([(f"a@{k}", 1, (), index) for k in range(3)])
