"""Two ways to weigh n-grams: what sources agree on, and logistic regression."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.ngram_linear import count_presence, train_epoch
from tagarela_dagster.corpus.models.calibration import Values
from tagarela_dagster.corpus.models.linear import feature_capacity, feature_options
from tagarela_dagster.corpus.models.training_set import TrainingSet
from tagarela_dagster.recipe.models import Features, Fitting

MIN_UNIT_PASSAGES = 50
"""A source with fewer passages has no say under ``agreement``, unless its class has no other."""
HALF = 0.5
"""Passages that are added to those that have a feature, and to those that have it not."""
NOISE = 0.2
"""Added to the variance of a log-ratio, so that chance agreement of few sources is no certainty."""
DOUBT = 1.5
"""Standard errors that a difference must reach to count at all."""


class Learner(Protocol):
    """Weights while they are trained.

    Attributes:
        epochs: most passes that make sense.
    """

    epochs: int

    def reset(self) -> None:
        """Forget everything."""
        ...

    def epoch(self, rows: NDArray[np.int64]) -> None:
        """Learn from rows once more."""
        ...

    def model(self) -> tuple[NDArray[np.float32], Values]:
        """(2**bits, classes - 1) weights and (classes - 1,) bias as they are now."""
        ...


def make_learner(known: TrainingSet, features: Features, fitting: Fitting, seed: int) -> Learner:
    """The learner that the recipe asks for."""
    if fitting.method == "agreement":
        return Agreement(known, features)
    return Logistic(known, features, fitting, seed)


class Agreement:
    """Naive Bayes whose log-ratios count as far as sources agree on them.

    Of n passages of a source, k have the feature: its log frequency there is
    ``log((k + HALF) / (n + 1))``. The mean over the sources of a class, less that over those of
    class 0, is the weight; it is shrunk by ``1 - (DOUBT / t)**2`` (James and Stein's positive
    part), where t is the ratio of that difference to its standard error *between sources*. A topic
    word is frequent in one source and gets nothing; "autocarro" or "-ômi-" is told by all and
    stays.
    """

    epochs = 1

    def __init__(self, known: TrainingSet, features: Features) -> None:
        self.known, self.features = known, features
        self._counts = [_count(known, label, features) for label in range(len(known.classes))]
        self.reset()

    def reset(self) -> None:
        """Forget the weights."""
        columns = len(self.known.classes) - 1
        self._weights = np.zeros((1 << self.features.bits, columns), np.float32)

    def epoch(self, rows: NDArray[np.int64]) -> None:
        """Weigh what the units of ``rows`` have (whole units: a fold never cuts one)."""
        allowed = np.unique(self.known.units[rows])
        parts = [
            _large({u: c for u, c in counts.items() if u in allowed}) for counts in self._counts
        ]
        moments = []
        for part in parts:
            logs = [np.log((k + HALF) / (n + 2 * HALF)) for n, k in part]
            error = np.var(logs, axis=0) / max(1, len(logs) - 1)
            moments.append((np.mean(logs, axis=0), error))
        self._weights = np.stack([_shrunk(moments[0], other) for other in moments[1:]], axis=1)

    def model(self) -> tuple[NDArray[np.float32], Values]:
        """Weights; there is no bias, as a text without any known feature is of no class."""
        return self._weights, np.zeros(self._weights.shape[1])


Counts = dict[int, tuple[int, NDArray[np.int32]]]
"""Unit -> passages, and passages that have each feature."""


def _count(known: TrainingSet, label: int, features: Features) -> Counts:
    options, capacity = feature_options(features), feature_capacity(features)
    found: Counts = {}
    for unit in np.unique(known.units[known.labels == label]):
        rows = np.flatnonzero((known.units == unit) & (known.labels == label))
        counts, seen = np.zeros((2, 1 << features.bits), np.int32)
        texts = count_presence(known.data, known.offsets, rows, options, capacity, counts, seen)
        found[int(unit)] = texts, counts
    return found


def _large(counts: Counts) -> list[tuple[int, NDArray[np.int32]]]:
    """Units with enough passages; all of them where fewer than two have."""
    large = [pair for pair in counts.values() if pair[0] >= MIN_UNIT_PASSAGES]
    return large if len(large) > 1 else [(max(1, n), k) for n, k in counts.values()]


def _shrunk(reference: tuple[Values, Values], other: tuple[Values, Values]) -> NDArray[np.float32]:
    difference = other[0] - reference[0]
    squared = difference**2 / (other[1] + reference[1] + NOISE)
    kept = np.maximum(0, 1 - DOUBT**2 / np.maximum(squared, 1e-12))
    return (difference * kept).astype(np.float32)


class Logistic:
    """Averaged logistic regression, trained by AdaGrad."""

    def __init__(self, known: TrainingSet, features: Features, fitting: Fitting, seed: int) -> None:
        self.known, self.features, self.rate = known, features, fitting.learning_rate
        self.epochs, self.seed = fitting.epochs, seed
        self.reset()

    def reset(self) -> None:
        """Start from nothing."""
        columns = len(self.known.classes) - 1
        shape = (1 << self.features.bits, columns)
        self.weights = np.zeros(shape, np.float32)
        self.squares = np.zeros(shape, np.float32)
        self.sums = np.zeros(shape, np.float64)
        self.bias = np.zeros((3, columns))
        self.steps = 0
        self.random = np.random.default_rng(self.seed)

    def epoch(self, rows: NDArray[np.int64]) -> None:
        """Learn from ``rows``, in an order of chance."""
        self.steps = train_epoch(
            self.known.data,
            self.known.offsets,
            self.known.labels,
            self.known.weights,
            self.random.permutation(rows),
            self.weights,
            self.bias,
            self.squares,
            self.sums,
            self.steps,
            self.rate,
            feature_options(self.features),
            feature_capacity(self.features),
        )

    def model(self) -> tuple[NDArray[np.float32], Values]:
        """Weights and bias, averaged over all steps."""
        steps = max(1, self.steps)
        weights = (self.weights - self.sums / steps).astype(np.float32)
        return weights, self.bias[0] - self.bias[2] / steps
