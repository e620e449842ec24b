"""Counts of n-grams over a stream of word numbers, and what modified Kneser-Ney makes of them.

Chen and Goodman's interpolated form (TR-10-98, section 4.1.6), as KenLM's lmplz estimates it
(Heafield et al., ACL 2013): below the highest order an n-gram counts by how many different words
it follows; every order has three discounts, taken from its counts of counts; what discounts (and
pruning) take away is the weight of the next lower order; below single words stands the uniform
distribution over the vocabulary, the unknown word included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.ngram_perplexity import BEGIN, FINISH, UNKNOWN

Indices = NDArray[np.int64]
FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where the counts of counts give none (KenLM's --discount_fallback): tiny texts."""


@dataclass
class Order:
    """All n-grams of one order, sorted by (prefix, last word).

    Attributes:
        prefix: (n,) index of the first words in the order below; zeros for single words.
        word: (n,) number of the last word.
        suffix: (n,) index, in the order below, of the n-gram without its first word.
        raw: (n,) occurrences.
        begins: (n,) whether the first word is ``<s>``.
        counts: (n,) adjusted counts; filled by ``adjust``.
    """

    prefix: Indices
    word: Indices
    suffix: Indices
    raw: Indices
    begins: NDArray[np.bool_]
    counts: Indices


def count(tokens: NDArray[np.int32], order: int, vocabulary: int) -> list[Order]:
    """Count n-grams up to ``order``.

    Args:
        tokens: numbers of words; FINISH ends a sentence, BEGIN is not in the stream.
        vocabulary: numbers are below it.
    """
    stream = _with_begins(tokens)
    words = np.arange(vocabulary, dtype=np.int64)
    raw = np.bincount(stream, minlength=vocabulary).astype(np.int64)
    nothing = np.zeros(vocabulary, np.int64)
    orders = [Order(nothing, words, nothing, raw, words == BEGIN, nothing)]
    # Which n-gram of the order below ends at each place; -1 for none (unknown word, new sentence).
    ending = np.where(stream == UNKNOWN, -1, stream.astype(np.int64))
    for _ in range(1, order):
        before = np.concatenate([[-1], ending[:-1]])
        sound = np.flatnonzero((before >= 0) & (ending >= 0) & (stream != BEGIN))
        keys = before[sound] * vocabulary + stream[sound]
        unique, first, inverse, raw = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        prefix = unique // vocabulary
        orders.append(
            Order(
                prefix.astype(np.int64),
                (unique % vocabulary).astype(np.int64),
                ending[sound[first]],
                raw.astype(np.int64),
                orders[-1].begins[prefix],
                np.zeros(len(unique), np.int64),
            )
        )
        ending = np.full(len(stream), -1, np.int64)
        ending[sound] = inverse
    adjust(orders)
    return orders


def adjust(orders: Sequence[Order]) -> None:
    """Fill ``counts``: occurrences at the highest order and of what begins a sentence, else the
    number of different words before."""
    orders[-1].counts = orders[-1].raw
    for lower, higher in zip(orders, orders[1:], strict=False):
        follows = np.bincount(higher.suffix, minlength=len(lower.word))
        lower.counts = np.where(lower.begins, lower.raw, follows).astype(np.int64)
    orders[0].counts = orders[0].counts.copy()
    orders[0].counts[[UNKNOWN, BEGIN]] = 0


@dataclass
class Weights:
    """Probabilities of the kept n-grams of one order, and of their back-off."""

    kept: Indices
    probability: NDArray[np.float64]
    backoff: NDArray[np.float64]


def estimate(
    orders: Sequence[Order], min_counts: Sequence[int]
) -> tuple[list[Weights], list[list[float]]]:
    """Interpolated probabilities and back-off weights, and the discounts of each order.

    Args:
        min_counts: least occurrences of a kept n-gram, by order; must not fall with the order.
    """
    weights: list[Weights] = []
    discounts = [discount(order.counts) for order in orders]
    below = np.full(len(orders[0].word), 1.0 / (len(orders[0].word) - 1))  # all but <s>
    for level, order in enumerate(orders):
        least = min_counts[min(level, len(min_counts) - 1)] if level else 0
        kept = order.raw >= least
        contexts = len(orders[level - 1].word) if level else 1
        total = np.bincount(order.prefix, order.counts, contexts)
        taken = _discounted(order.counts, discounts[level]) * kept
        share = np.bincount(order.prefix, taken, contexts) / np.maximum(total, 1)
        rest = np.where(total > 0, 1 - share, 1.0)
        own = taken / np.maximum(total[order.prefix], 1)
        lower = below[order.suffix] if level else below
        probability = own + rest[order.prefix] * lower
        if level:
            weights[-1].backoff = rest[weights[-1].kept]
        else:
            probability[BEGIN] = 0
        places = np.flatnonzero(kept)
        weights.append(Weights(places, probability[places], np.ones(len(places))))
        below = probability
    return weights, discounts


def discount(counts: Indices) -> list[float]:
    """Discounts of counts 1, 2, and 3 or more: ``j - (j + 1) Y t[j+1] / t[j]``."""
    t = np.bincount(np.minimum(counts[counts > 0], 5), minlength=6)
    if not t[1:5].all():
        return list(FALLBACK)
    y = t[1] / (t[1] + 2 * t[2])
    found = [float(j - (j + 1) * y * t[j + 1] / t[j]) for j in (1, 2, 3)]
    return found if all(0 <= d <= j for j, d in enumerate(found, 1)) else list(FALLBACK)


def _discounted(counts: Indices, discounts: Sequence[float]) -> NDArray[np.float64]:
    table = np.array([0.0, *discounts])
    return np.maximum(counts - table[np.minimum(counts, 3)], 0)


def _with_begins(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """The stream with BEGIN before every sentence."""
    starts = np.concatenate([[0], np.flatnonzero(tokens == FINISH)[:-1] + 1])
    return np.insert(tokens, starts, BEGIN) if len(tokens) else tokens
