"""An n-gram language model over words, scored on buffers: perplexity of documents.

Files (format 1): ``model.safetensors`` has ``vocabulary`` (slots, 2) uint64, ``words`` (words, 2)
float32 and ``grams`` (rows, 2) uint64, as kernels/ngram_perplexity.py lays them out; ``model.json``
has the first row of each order's table, the cut points of the tiers and how it was trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, text_buffers
from tagarela_dagster.corpus.kernels.ngram_perplexity import (
    WORD_BITS,
    insert,
    score_texts,
    token_hashes,
    word_numbers,
)
from tagarela_dagster.corpus.models.ngram_counts import count, estimate
from tagarela_dagster.corpus.models.tensors import load, save

KIND = "n-gram language model"
FORMAT_VERSION = 1
SPECIAL = 3
"""Numbers of ``<unk>``, ``<s>`` and ``</s>`` come before the words."""
NEVER = -99.0
"""log10 probability of what cannot be predicted (``<s>``), as in ARPA files."""


class EmptyTextError(ValueError):
    """There is no text to train on."""


@dataclass(frozen=True)
class NgramModel:
    """Tables of a model.

    Attributes:
        starts: first row of the table of each order from 2 on, then the end.
        cuts: perplexities at which head ends and tail begins.
        report: how it was trained, JSON.
    """

    vocabulary: NDArray[np.uint64]
    words: NDArray[np.float32]
    grams: NDArray[np.uint64]
    starts: tuple[int, ...]
    cuts: tuple[float, float]
    report: dict[str, Any]

    def totals(self, data: Bytes, offsets: Offsets) -> NDArray[np.float64]:
        """(rows, 2) summed log10 probability of each text, and its tokens."""
        values = self.grams.view(np.float32).reshape(-1, 4)
        starts = np.array(self.starts, np.int64)
        return score_texts(data, offsets, self.vocabulary, self.words, self.grams, values, starts)

    def perplexities(self, data: Bytes, offsets: Offsets) -> NDArray[np.float64]:
        """(rows,) perplexity a token, sentence ends included; NaN for a text without tokens."""
        totals = self.totals(data, offsets)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.power(10.0, -totals[:, 0] / totals[:, 1])

    def perplexities_of(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """As ``perplexities``, of Python texts."""
        return self.perplexities(*text_buffers(pa.array(texts, pa.large_string())))

    def tiers(self, perplexities: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows,) 0 head, 1 middle, 2 tail, NaN where there is no perplexity."""
        tiers = np.searchsorted(self.cuts, perplexities, side="left").astype(np.float64)
        tiers[np.isnan(perplexities)] = np.nan
        return tiers

    def save(self, folder: Path) -> None:
        """Write the model into ``folder``."""
        settings = {
            "kind": KIND,
            "format_version": FORMAT_VERSION,
            "starts": list(self.starts),
            "cuts": list(self.cuts),
            "report": self.report,
        }
        tensors: dict[str, NDArray[Any]] = {
            "vocabulary": self.vocabulary,
            "words": self.words,
            "grams": self.grams,
        }
        save(folder, tensors, settings)

    @classmethod
    def load(cls, folder: Path) -> NgramModel:
        """Read a model. Raises ModelFormatError."""
        tensors, settings = load(folder, KIND, FORMAT_VERSION)
        return cls(
            **tensors,
            starts=tuple(settings["starts"]),
            cuts=tuple(settings["cuts"]),
            report=settings["report"],
        )


def train(
    texts: Sequence[str], order: int, min_counts: Sequence[int], max_vocabulary: int
) -> NgramModel:
    """Train on texts; the cut points are left at 0.

    Raises:
        EmptyTextError: no text has a word.
    """
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    hashes = np.empty(len(data) + len(texts) + 1, np.uint64)
    hashes = hashes[: token_hashes(data, offsets, hashes)]
    words, occurrences = np.unique(hashes[hashes > 1], return_counts=True)
    if not len(words):
        raise EmptyTextError("the training text of the n-gram model has no word in it")
    # The most frequent first; among equals the lower hash.
    ranked = words[np.lexsort((words, -occurrences))][:max_vocabulary]
    size = len(ranked) + SPECIAL
    vocabulary = _table(len(ranked))
    insert(vocabulary, ranked, np.arange(SPECIAL, size, dtype=np.uint64))
    tokens = word_numbers(hashes, vocabulary)
    orders = count(tokens, order, size)
    weights, discounts = estimate(orders, min_counts)
    with np.errstate(divide="ignore"):
        singles = np.log10(np.stack([weights[0].probability, weights[0].backoff], axis=1))
    single_values = np.where(np.isfinite(singles), singles, NEVER).astype(np.float32)
    tables: list[NDArray[np.uint64]] = []
    places = np.arange(size, dtype=np.int64)
    for found, part in zip(orders[1:], weights[1:], strict=True):
        prefix, word = places[found.prefix[part.kept]], found.word[part.kept]
        keys = (prefix.astype(np.uint64) << np.uint64(WORD_BITS)) + word.astype(np.uint64)
        table = _table(len(keys))
        placed = insert(table, keys + np.uint64(1), _packed(part.probability, part.backoff))
        places = np.full(len(found.word), -1, np.int64)
        places[part.kept] = placed
        tables.append(table)
    starts = np.cumsum([0, *(len(table) for table in tables)])
    report = {
        "tokens": len(tokens),
        "bytes": len(data),
        "vocabulary": size,
        "unknown": int((tokens == 0).sum()),
        "ngrams": [len(part.kept) for part in weights],
        "discounts": [[round(d, 6) for d in row] for row in discounts],
    }
    grams = np.concatenate(tables)
    return NgramModel(vocabulary, single_values, grams, tuple(starts.tolist()), (0.0, 0.0), report)


def _packed(probability: NDArray[np.float64], backoff: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Two log10 values as the halves of one 64-bit word, little end first."""
    with np.errstate(divide="ignore"):
        logs = np.log10(np.stack([probability, backoff], axis=1))
    return np.where(np.isfinite(logs), logs, NEVER).astype("<f4").view("<u8").ravel()


def _table(entries: int) -> NDArray[np.uint64]:
    """An empty table, at most two thirds full."""
    slots = 1 << max(3, int(np.ceil(np.log2(1.5 * entries + 1))))
    return np.zeros((slots, 2), np.uint64)
