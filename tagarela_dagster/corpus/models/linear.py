"""A linear classifier over hashed n-grams: from texts to calibrated probabilities.

Files (format 1): ``model.safetensors`` has ``weights`` (2**bits, classes - 1) float32 and ``bias``
(classes - 1,) float64; ``model.json`` has classes, features, calibration and how it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, text_buffers
from tagarela_dagster.corpus.kernels.ngram_linear import MAX_FEATURES_PER_BYTE, SLACK, score
from tagarela_dagster.corpus.models.calibration import Calibration, Values
from tagarela_dagster.corpus.models.tensors import load, save
from tagarela_dagster.recipe.models import Features

KIND = "linear n-gram classifier"
FORMAT_VERSION = 1


def feature_options(section: Features) -> NDArray[np.int64]:
    """The section as kernels take it."""
    names = section.mask_names
    return np.array(
        [
            section.bits,
            section.word_ngrams,
            section.min_characters,
            section.max_characters if section.max_characters >= section.min_characters else 0,
            int(names),
            section.max_bytes,
        ],
        np.int64,
    )


def feature_capacity(section: Features) -> int:
    """Features that a text of at most ``max_bytes`` can have."""
    return section.max_bytes * MAX_FEATURES_PER_BYTE + SLACK


@dataclass(frozen=True)
class LinearModel:
    """Weights of a classifier and what its logits mean.

    Attributes:
        classes: names; the first is the reference.
        weights, bias: (2**bits, classes - 1) float32, (classes - 1,) float64.
        report: how it was trained and measured, JSON.
    """

    classes: tuple[str, ...]
    features: Features
    weights: NDArray[np.float32]
    bias: Values
    calibration: Calibration
    report: dict[str, Any]

    def logits(self, data: Bytes, offsets: Offsets) -> Values:
        """(rows, classes - 1) logits, NaN for a text without a word."""
        return score(
            data,
            offsets,
            self.weights,
            self.bias,
            feature_options(self.features),
            feature_capacity(self.features),
        )

    def probabilities(self, data: Bytes, offsets: Offsets) -> Values:
        """(rows, classes) calibrated probabilities, NaN for a text without a word."""
        return self.calibration.probabilities(self.logits(data, offsets))

    def probabilities_of(self, texts: list[str]) -> Values:
        """As ``probabilities``, of Python texts."""
        return self.probabilities(*text_buffers(pa.array(texts, pa.large_string())))

    def save(self, folder: Path) -> None:
        """Write the model into ``folder``."""
        settings = {
            "kind": KIND,
            "format_version": FORMAT_VERSION,
            "classes": list(self.classes),
            "features": self.features.as_json(),
            "calibration": {
                "factor": self.calibration.factor,
                "shifts": list(self.calibration.shifts),
            },
            "report": self.report,
        }
        save(folder, {"weights": self.weights, "bias": self.bias}, settings)

    @classmethod
    def load(cls, folder: Path) -> LinearModel:
        """Read a model. Raises ModelFormatError."""
        tensors, settings = load(folder, KIND, FORMAT_VERSION)
        calibration = settings["calibration"]
        return cls(
            tuple(settings["classes"]),
            Features(**settings["features"]),
            tensors["weights"],
            tensors["bias"],
            Calibration(calibration["factor"], tuple(calibration["shifts"])),
            settings["report"],
        )
