"""Steps of measuring that score documents with trained models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.models.linear import LinearModel
from tagarela_dagster.corpus.models.ngram_model import NgramModel
from tagarela_dagster.recipe.models import Variety


class ScoreVariety:
    """P(pt-PT), and the label of documents that have none."""

    def __init__(self, folder: Path, section: Variety) -> None:
        self.model = LinearModel.load(folder)
        self.column = self.model.classes.index("pt-PT")
        self.confidence = section.min_confidence

    def __call__(self, work: Work) -> None:
        """Set ``variety_score`` and, where it is null and the model is sure, ``variety``.

        What is known not to be Portuguese gets neither.
        """
        scores = self.model.probabilities(*work.buffers())[:, self.column].astype(np.float32)
        language = work.column("language")
        foreign = pc.fill_null(pc.not_equal(language, "pt"), False)
        scores[np.asarray(foreign.to_numpy(zero_copy_only=False), np.bool_)] = np.nan
        work.set("variety_score", pa.array(scores, pa.float32(), from_pandas=True))
        guessed = np.full(work.rows, None, object)
        guessed[scores >= self.confidence] = "pt-PT"
        guessed[scores <= 1 - self.confidence] = "pt-BR"
        own = work.column("variety").cast(pa.string())
        work.set("variety", pc.coalesce(own, pa.array(guessed, pa.string())))


class ScorePerplexity:
    """Perplexity under the n-gram model of clean sources."""

    def __init__(self, folder: Path) -> None:
        self.model = NgramModel.load(folder)

    def __call__(self, work: Work) -> None:
        """Add ``perplexity`` and ``perplexity_tier`` (0 head, 1 middle, 2 tail)."""
        found = self.model.perplexities(*work.buffers())
        work.signal("perplexity", found)
        work.signal("perplexity_tier", self.model.tiers(found))


class ScoreClassifiers:
    """P(positive) of each quality classifier; the k-th gives ``score_k``."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.models = [LinearModel.load(folder / name) for name in names]

    def __call__(self, work: Work) -> None:
        """Add ``score_1``, ``score_2`` …"""
        for number, model in enumerate(self.models, 1):
            column = model.classes.index("positive")
            work.signal(f"score_{number}", model.probabilities(*work.buffers())[:, column])
