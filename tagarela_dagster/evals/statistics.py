"""Intervals for scores: exact for proportions, bootstrap for bits per byte.

A leaderboard's bare number hides that 150 items leave several points of uncertainty; every score
here carries an interval, and items that share a document don't count as independent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDS = 2_000
"""Bootstrap samples; the ends of a 95% interval then move by about 1% of its width."""


def proportion_interval(
    correct: ArrayLike, groups: Sequence[str | None] | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of a proportion from items that may come in groups.

    Clopper and Pearson's exact interval (Biometrika 26, 1934), which arXiv 2503.01747 finds sound
    where the central limit theorem is not: below a few hundred items. With groups, the number of
    items is divided by the design effect (Korn and Graubard, Survey Methodology 24, 1998). Where
    all items agree the data say nothing about the design effect, and each group counts once.

    Args:
        correct: (items,) bool.
        groups: (items,) what items share; None for an item of its own.

    Returns:
        Low and high end; the proportion is inside.

    Raises:
        ValueError: there are no items.
    """
    from scipy.stats import beta

    hits = np.asarray(correct, dtype=bool)
    if not len(hits):
        raise ValueError("no items: there is nothing to give an interval for")
    share = float(hits.mean())
    size = _effective_size(hits, groups)
    tail = (1 - confidence) / 2
    successes = share * size
    low = float(beta.ppf(tail, successes, size - successes + 1)) if share > 0 else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, size - successes)) if share < 1 else 1.0
    return min(low, share), max(high, share)


def ratio_interval(
    numerators: ArrayLike,
    denominators: ArrayLike,
    confidence: float = 0.95,
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> tuple[float, float]:
    """Percentile bootstrap of ``sum(numerators) / sum(denominators)`` over documents.

    Documents are drawn with replacement (Efron and Tibshirani, An Introduction to the Bootstrap,
    1993, chapter 13). A single document gives the point itself.

    Raises:
        ValueError: there are no documents.
    """
    above = np.asarray(numerators, dtype=np.float64)
    below = np.asarray(denominators, dtype=np.float64)
    if not len(above):
        raise ValueError("no documents: there is nothing to give an interval for")
    generator = np.random.Generator(np.random.Philox(seed))
    ratios = np.empty(rounds)
    # A round at a time: memory stays that of one sample.
    for index in range(rounds):
        drawn = generator.integers(0, len(above), len(above))
        ratios[index] = above[drawn].sum() / below[drawn].sum()
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    value = above.sum() / below.sum()
    return min(float(low), float(value)), max(float(high), float(value))


def _effective_size(hits: NDArray[np.bool_], groups: Sequence[str | None] | None) -> float:
    """Independent items that the grouped ones are worth, at most their number."""
    if groups is None:
        return float(len(hits))
    names = [name if name is not None else f"item {i}" for i, name in enumerate(groups)]
    _, index = np.unique(names, return_inverse=True)
    clusters = int(index.max()) + 1
    share = hits.mean()
    if clusters == len(hits) or clusters == 1 or share in (0.0, 1.0):
        return float(clusters)
    residuals = np.bincount(index, weights=hits - share)
    clustered = clusters / (clusters - 1) * float((residuals**2).sum()) / len(hits) ** 2
    if clustered <= 0:
        return float(len(hits))
    simple = share * (1 - share) / len(hits)
    return float(len(hits) * min(1.0, simple / clustered))
