"""Signals: every number that the rules decide by, computed in one pass over a column's bytes.

Exactly datatrove 0.10.1's quantities (``pipeline/filters/gopher_repetition_filter.py``,
``gopher_quality_filter.py``, ``fineweb_quality_filter.py``), computed for every document in full,
so that thresholds can be decided again from the ``quality`` struct without the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, text_buffers
from tagarela_dagster.corpus.kernels.measure import (
    RULE_SIGNALS,
    Scratch,
    measure_rows,
    new_scratch,
    newlines_of,
)

__all__ = ["RULE_SIGNALS", "Signals", "buffer_signals", "text_signals"]


class Signals:
    """Step of measuring: adds every signal of the rules.

    Args:
        stop_words: words whose different occurrences ``stop_words`` counts.
        folder: where the lexicon is kept between runs; None keeps nothing.
    """

    def __init__(self, stop_words: Sequence[str], folder: Path | None) -> None:
        self.lexicon = _lexicon(tuple(stop_words), folder)

    def __call__(self, work: Work) -> None:
        """Measure a batch."""
        for name, values in buffer_signals(*work.buffers(), self.lexicon).items():
            work.signal(name, values)

    def close(self) -> None:
        """Keep what the lexicon has learned of spaCy."""
        self.lexicon.save()


@lru_cache(maxsize=2)
def _lexicon(stop_words: tuple[str, ...], folder: Path | None) -> Lexicon:
    """One lexicon for all batches and shards of a process: filling it is what costs."""
    return Lexicon.open(folder, stop_words)


def text_signals(texts: Iterable[str], lexicon: Lexicon) -> dict[str, NDArray[np.float64]]:
    """Signals of each text: name in RULE_SIGNALS -> (texts,) float64.

    A ratio whose denominator is zero (no word, no line) is NaN, by which no rule drops.
    """
    return buffer_signals(*text_buffers(pa.array(list(texts), pa.large_string())), lexicon)


def buffer_signals(
    data: Bytes, offsets: Offsets, lexicon: Lexicon
) -> dict[str, NDArray[np.float64]]:
    """Signals of each text ``data[offsets[i]:offsets[i + 1]]``, as :func:`text_signals`."""
    table = np.empty((len(offsets) - 1, len(RULE_SIGNALS)), np.float64)
    newlines = np.empty(len(offsets) - 1, np.int64)
    newlines_of(data, offsets, newlines)
    for row, stop in lexicon.groups(offsets):
        own = offsets[row : stop + 1]
        words = lexicon.split(data, own)
        scratch = _scratch(words.ends, newlines[row:stop])
        measure_rows(
            data, own, *words, lexicon.tables, lexicon.kit.classes, newlines[row:stop], scratch,
            table[row:stop],
        )  # fmt: skip
    return {name: table[:, column] for column, name in enumerate(RULE_SIGNALS)}


def _scratch(ends: NDArray[np.int64], newlines: NDArray[np.int64]) -> Scratch:
    """Scratch for a group's longest text."""
    return new_scratch(int(np.diff(ends, prepend=0).max()), int(newlines.max()) + 2)
