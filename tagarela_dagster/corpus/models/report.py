"""How well a classifier does on sources that it has not seen: tables for the model's report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.models.calibration import (
    Values,
    brier,
    expected_calibration_error,
    f1,
    wilson,
)

if TYPE_CHECKING:
    from tagarela_dagster.corpus.models.fitting import TrainingSet

LENGTHS = (0, 150, 300, 600, 1_200, 1 << 62)
"""Bounds of the length classes, in bytes."""


def report(known: TrainingSet, scored: NDArray[np.bool_], probabilities: Values) -> dict[str, Any]:
    """Figures overall, by source and by length, of left-out passages (unweighted).

    Args:
        scored: (rows,) whether a passage has a score.
        probabilities: of those that have.
    """
    labels, sources = known.labels[scored], known.sources[scored]
    sizes = np.diff(known.offsets)[scored]
    by_source = [
        {"source": name, "label": known.classes[label], **figures(probabilities[r], labels[r])}
        for index, name in enumerate(known.source_names)
        for label in range(len(known.classes))
        if (r := (sources == index) & (labels == label)).any()
    ]
    by_length = [
        {"bytes_from": low, **figures(probabilities[r], labels[r])}
        for low, high in zip(LENGTHS, LENGTHS[1:], strict=False)
        if (r := (sizes >= low) & (sizes < high)).any()
    ]
    shares = [row["accuracy"] for row in by_source]
    return {
        "passages": int(scored.sum()),
        "without_words": int((~scored).sum()),
        "mean_accuracy_of_sources": round(float(np.mean(shares)), 4),
        "left_out": figures(probabilities, labels),
        "by_source": by_source,
        "by_length": by_length,
    }


def figures(probabilities: Values, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy with its 95% interval, F1 of the last class, Brier score, calibration error."""
    found = probabilities.argmax(axis=1)
    right = int((found == labels).sum())
    low, high = wilson(right, len(labels))
    last = probabilities.shape[1] - 1
    values = {
        "accuracy": right / len(labels),
        "low": low,
        "high": high,
        "f1": f1(found, labels, last),
        "brier": brier(probabilities, labels),
        "calibration_error": expected_calibration_error(probabilities, labels),
    }
    return {"passages": len(labels), **{name: round(value, 4) for name, value in values.items()}}
