"""Train a linear classifier: left-out sources say when to stop and what a score means.

Sources are dealt into folds, so that a source's passages are never both learnt from and judged on:
within one source a topic gives the label away. Every fold's model scores the sources that it was
not shown; these scores choose the number of epochs, fit the calibration and make the report. The
final model learns from everything. Where a class has a single source, folds are dealt by document
and the report says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagarela_dagster.corpus.kernels.ngram_linear import score
from tagarela_dagster.corpus.models.calibration import Calibration, Values, fit, log_loss, softmax
from tagarela_dagster.corpus.models.learners import Learner, make_learner
from tagarela_dagster.corpus.models.linear import LinearModel, feature_capacity, feature_options
from tagarela_dagster.corpus.models.passages import Passage
from tagarela_dagster.corpus.models.report import report
from tagarela_dagster.corpus.models.training_set import TrainingSet
from tagarela_dagster.recipe.models import Features, Fitting


def train(
    passages: Sequence[Passage],
    classes: Sequence[str],
    features: Features,
    fitting: Fitting,
    seed: int,
) -> LinearModel:
    """Train, stop, calibrate, measure.

    Args:
        passages: in a fixed order; the result is a pure function of it and the seed.

    Raises:
        TrainingTextError: a class has no text.
    """
    known = TrainingSet.of(passages, classes, fitting.folds)
    learner = make_learner(known, features, fitting, seed)
    epochs, logits = _left_out(known, learner, features)
    scored = np.asarray(~np.isnan(logits).any(axis=1))
    calibration = fit(logits[scored], known.labels[scored], known.weights[scored])
    learner.reset()
    for _ in range(epochs):
        learner.epoch(np.arange(len(known.labels)))
    weights, bias = learner.model()
    probabilities = calibration.probabilities(logits[scored])
    about = {
        "method": fitting.method,
        "epochs": epochs,
        "folds_dealt_by": known.dealt_by,
        **report(known, scored, probabilities),
    }
    return LinearModel(tuple(classes), features, weights, bias, calibration, about)


def _left_out(known: TrainingSet, learner: Learner, features: Features) -> tuple[int, Values]:
    """Best number of epochs, and every passage's logits from a model that didn't see its fold."""
    found = np.full((learner.epochs, len(known.labels), len(known.classes) - 1), np.nan)
    options, capacity = feature_options(features), feature_capacity(features)
    for fold in np.unique(known.folds):
        inside, outside = np.flatnonzero(known.folds != fold), np.flatnonzero(known.folds == fold)
        data, offsets = known.part(outside)
        learner.reset()
        for epoch in range(learner.epochs):
            learner.epoch(inside)
            found[epoch, outside] = score(data, offsets, *learner.model(), options, capacity)
    losses = [_calibrated_loss(logits, known) for logits in found]
    best = int(np.argmin(losses))
    return best + 1, found[best]


def _calibrated_loss(logits: Values, known: TrainingSet) -> float:
    scored = ~np.isnan(logits).any(axis=1)
    logits, labels, weights = logits[scored], known.labels[scored], known.weights[scored]
    calibration: Calibration = fit(logits, labels, weights)
    shifted = calibration.factor * logits + np.array(calibration.shifts)
    return log_loss(softmax(shifted), labels, weights)
