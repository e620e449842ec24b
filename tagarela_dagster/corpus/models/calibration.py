"""Probabilities that mean what they say: fitting them, and measuring how well they do.

Platt's scaling (Platt 1999), in its form for several classes: one factor for all logits and a
shift for each. It is fitted on texts of sources that the model has not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
BINS = 15
"""Equal-width bins of the expected calibration error (Guo et al., arXiv 1706.04599)."""
CONFIDENCE = 1.959964
"""Standard normal quantile of a two-sided 95% interval."""


@dataclass(frozen=True)
class Calibration:
    """Calibrated logits are ``factor * logit + shift``, column by column."""

    factor: float
    shifts: tuple[float, ...]

    def probabilities(self, logits: Values) -> Values:
        """(rows, classes) probabilities of (rows, classes - 1) logits; class 0 is the reference."""
        return softmax(self.factor * logits + np.array(self.shifts))


def softmax(logits: Values) -> Values:
    """(rows, classes) probabilities; class 0, whose logit is 0, comes first."""
    full = np.concatenate([np.zeros((len(logits), 1)), logits], axis=1)
    full -= full.max(axis=1, keepdims=True)
    exponents = np.exp(full)
    return exponents / exponents.sum(axis=1, keepdims=True)


def log_loss(probabilities: Values, labels: NDArray[np.int64], weights: Values) -> float:
    """Weighted mean of -log p(label), in nats."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-(weights * np.log(np.maximum(chosen, 1e-12))).sum() / weights.sum())


def fit(logits: Values, labels: NDArray[np.int64], weights: Values) -> Calibration:
    """Fit factor and shifts by the weighted log loss.

    A pull towards (1, 0) as strong as one text keeps both finite where the classes are separable.
    """
    from scipy.optimize import minimize

    total = weights.sum()

    def loss(parameters: Values) -> float:
        found = softmax(parameters[0] * logits + parameters[1:])
        pull = (parameters[0] - 1) ** 2 + (parameters[1:] ** 2).sum()
        return log_loss(found, labels, weights) + pull / total

    start = np.concatenate([[1.0], np.zeros(logits.shape[1])])
    best = minimize(loss, start, method="BFGS").x
    factor, *shifts = (round(float(value), 6) for value in best)
    return Calibration(max(factor, 1e-3), tuple(shifts))


def brier(probabilities: Values, labels: NDArray[np.int64]) -> float:
    """Brier score: mean squared distance to the truth, over classes but the first (0 is best)."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth)[:, 1:] ** 2).sum(axis=1).mean())


def expected_calibration_error(probabilities: Values, labels: NDArray[np.int64]) -> float:
    """Mean gap between confidence and accuracy over BINS of confidence."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = (
        abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    )
    return float(sum(gaps))


def wilson(right: int, items: int) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927); (0, 1) of nothing."""
    if not items:
        return 0.0, 1.0
    z, share = CONFIDENCE, right / items
    middle = share + z * z / (2 * items)
    width = z * math.sqrt(share * (1 - share) / items + z * z / (4 * items * items))
    low, high = ((middle + sign * width) / (1 + z * z / items) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def f1(found: NDArray[np.int64], labels: NDArray[np.int64], label: int) -> float:
    """F1 of one class; 0 where it occurs nowhere."""
    both = int(((found == label) & (labels == label)).sum())
    either = int((found == label).sum() + (labels == label).sum())
    return 2 * both / either if either else 0.0
