"""Intervals for scores: exact for proportions, Student's for bits per byte.

A leaderboard's bare number hides that 150 items leave several points of uncertainty; every score
here carries an interval, and items that share a document don't count as independent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
    numerators: ArrayLike, denominators: ArrayLike, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of ``sum(numerators) / sum(denominators)`` over documents.

    The variance of the ratio estimator by linearisation (Cochran, Sampling Techniques, 1977,
    section 6.4) with Student's t of n - 1 degrees of freedom: with a handful of documents a
    percentile bootstrap only shuffles them and claims far too much.

    Args:
        numerators, denominators: (documents,) e.g. bits and bytes.

    Raises:
        ValueError: there are fewer than two documents, which say nothing about their spread.
    """
    from scipy.stats import t

    above = np.asarray(numerators, dtype=np.float64)
    below = np.asarray(denominators, dtype=np.float64)
    number = len(above)
    if number < 2:
        raise ValueError(f"{number} documents: an interval needs at least two")
    ratio = above.sum() / below.sum()
    residuals = above - ratio * below
    variance = number / (number - 1) * float((residuals**2).sum()) / below.sum() ** 2
    reach = float(t.ppf((1 + confidence) / 2, number - 1)) * variance**0.5
    return max(0.0, float(ratio) - reach), float(ratio) + reach


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
