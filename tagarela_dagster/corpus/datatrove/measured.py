"""Signals of datatrove's documents, measured once for all filters of a pipeline that ask.

Filters that follow each other look at the same texts. The first one measures every signal of a
batch in one pass; the others find them here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from datatrove.data import Document
from numpy.typing import NDArray

from tagarela_dagster.corpus.datatrove.batch import sound_text
from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.filtering.signals import RULE_SIGNALS, text_signals
from tagarela_dagster.recipe.filtering import Quality

STOP_WORDS = tuple(Quality().stop_words)
"""FineWeb-2's Portuguese stop words."""
KEPT_CHARACTERS = 32 << 20
"""Characters of the texts whose signals are kept, the newest: batches of all filters at once."""


class Measured:
    """Measures texts, and remembers what it measured last.

    Args:
        stop_words: words whose different occurrences ``stop_words`` counts.
    """

    def __init__(self, stop_words: Sequence[str]) -> None:
        self._lexicon = Lexicon(stop_words)
        self._rows: OrderedDict[str, NDArray[np.float64]] = OrderedDict()
        self._characters = 0

    def signals(self, documents: Sequence[Document]) -> dict[str, NDArray[np.float64]]:
        """Every signal of the documents' texts: name -> (documents,) float64."""
        texts = [sound_text(document.text) for document in documents]
        found = {text: self._rows[text] for text in texts if text in self._rows}
        new = list(dict.fromkeys(text for text in texts if text not in found))
        measured = text_signals(new, self._lexicon)
        table = np.stack([measured[name] for name in RULE_SIGNALS], axis=1)
        found.update(zip(new, table, strict=True))
        self._keep({text: found[text] for text in new})
        rows = np.array([found[text] for text in texts]).reshape(-1, len(RULE_SIGNALS))
        return {name: rows[:, column] for column, name in enumerate(RULE_SIGNALS)}

    def _keep(self, measured: dict[str, NDArray[np.float64]]) -> None:
        self._rows.update(measured)
        self._characters += sum(map(len, measured))
        while self._characters > KEPT_CHARACTERS:
            text, _ = self._rows.popitem(last=False)
            self._characters -= len(text)


@lru_cache(maxsize=2)
def measured(stop_words: tuple[str, ...] = STOP_WORDS) -> Measured:
    """The one of this process for these stop words."""
    return Measured(stop_words)
