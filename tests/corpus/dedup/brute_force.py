"""What clustering must drop, found by comparing every document with every other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

from tagarela_dagster.recipe.dedup import Dedup
from tests.corpus.dedup.signed import Corpus, Doc

Placed = tuple[str, int, int, Doc]
"""Partition, shard, row, document."""


def expected_drops(
    corpus: Corpus, section: Dedup, ranks: Mapping[str, int]
) -> dict[tuple[str, int, int], tuple[str, str]]:
    """Partition, shard and row of each drop -> its reason and the survivor."""
    placed = [
        (partition, shard, row, doc)
        for partition in sorted(corpus)
        for shard, documents in enumerate(corpus[partition])
        for row, doc in enumerate(documents)
        if doc.reason is None
    ]
    drops = {}

    def drop(groups: list[list[Placed]], key: Callable[[Placed], Any], captures: bool) -> None:
        for group in groups:
            best, *others = sorted(group, key=key)
            seen = {best[3].text}
            for other in others:
                reason = "exact_duplicate" if other[3].text in seen else "near_duplicate"
                seen.add(other[3].text)
                name = f"{best[3].id}@{snapshot(best)}"
                drops[other[:3]] = ("older_capture" if captures else reason, name)

    def order(placed: Placed) -> list[Any]:
        keys = [KEYS[name](placed) for name in section.order if name != "rank"]
        if "rank" in section.order:
            keys.insert(section.order.index("rank"), ranks[source(placed)])
        return [*keys, source(placed), snapshot(placed), placed[3].id, *placed[1:3]]

    def latest(placed: Placed) -> list[Any]:
        return [KEYS["newest"](placed), -ord(snapshot(placed)), *order(placed)]

    urls = components(placed, lambda a, b: same_url(a, b, section))
    drop(urls, latest, captures=True)
    living = [doc for doc in placed if doc[:3] not in drops]
    drop(components(living, lambda a, b: alike(a[3], b[3], section)), order, captures=False)
    return drops


KEYS: dict[str, Callable[[Placed], Any]] = {
    "quality": lambda p: math.inf if p[3].quality is None else -p[3].quality,
    "source": lambda p: source(p),
    "newest": lambda p: -int(p[3].date.replace("-", "")) if p[3].date else 0,
    "oldest": lambda p: p[3].date or "9",
    "snapshot": lambda p: snapshot(p),
    "id": lambda p: p[3].id,
}


def source(placed: Placed) -> str:
    return placed[0].partition("@")[0]


def snapshot(placed: Placed) -> str:
    return placed[0].partition("@")[2]


def same_url(a: Placed, b: Placed, section: Dedup) -> bool:
    captured = section.keeps_newest(source(a)) and source(a) == source(b)
    return captured and a[3].url is not None and a[3].url == b[3].url


def alike(a: Doc, b: Doc, section: Dedup) -> bool:
    if not section.enabled:
        return False
    if section.exact and a.text == b.text:
        return True
    if a.bands and b.bands and any(x == y for x, y in zip(a.bands, b.bands, strict=True)):
        return True
    return 0 < a.words < 5 and 0 < b.words < 5 and a.normal == b.normal


def components(
    placed: list[Placed], joined: Callable[[Placed, Placed], bool]
) -> list[list[Placed]]:
    """Components of two or more."""
    label = list(range(len(placed)))
    for a, b in combinations(range(len(placed)), 2):
        if joined(placed[a], placed[b]) and label[a] != label[b]:
            old, new = label[b], label[a]
            label = [new if of == old else of for of in label]
    groups = [[p for p, of in zip(placed, label, strict=True) if of == k] for k in set(label)]
    return [group for group in groups if len(group) > 1]
