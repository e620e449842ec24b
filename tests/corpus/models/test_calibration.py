from __future__ import annotations

import numpy as np
import pytest

from tagarela_dagster.corpus.models.calibration import (
    brier,
    expected_calibration_error,
    f1,
    fit,
    log_loss,
    wilson,
)


def test_wilson_intervals_are_the_published_ones() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0, 1)


def test_fitting_recovers_the_scale_of_overconfident_logits() -> None:
    random = np.random.default_rng(1)
    true = random.normal(0.3, 1.5, 20_000)
    labels = (random.random(20_000) < 1 / (1 + np.exp(-true))).astype(np.int64)
    logits = 4 * (true - 0.5)[:, None]
    found = fit(logits, labels, np.ones(20_000))
    assert found.factor == pytest.approx(0.25, abs=0.01)
    assert found.shifts == pytest.approx([0.5], abs=0.05)
    assert expected_calibration_error(found.probabilities(logits), labels) < 0.02


def test_separable_classes_give_finite_parameters() -> None:
    logits, labels = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])
    found = fit(logits, labels, np.ones(4))
    assert 1 < found.factor < 10 and abs(found.shifts[0]) < 0.1


def test_measures_of_known_predictions() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    labels = np.array([0, 1, 0, 1])
    assert brier(probabilities, labels) == pytest.approx((0.01 + 0.04 + 0.36 + 0.49) / 4)
    # Four bins with one text each: |1-.9|, |1-.8|, |0-.6|, |0-.7|.
    assert expected_calibration_error(probabilities, labels) == pytest.approx(0.4)
    assert f1(probabilities.argmax(axis=1), labels, 1) == pytest.approx(0.5)
    weights = np.array([1.0, 1.0, 0.0, 0.0])
    assert log_loss(probabilities, labels, weights) == pytest.approx(-np.log([0.9, 0.8]).mean())
