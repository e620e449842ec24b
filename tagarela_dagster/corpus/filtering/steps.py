"""Steps of measuring that work document by document."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from tagarela_dagster.corpus.filtering.cleanup import clean
from tagarela_dagster.corpus.filtering.language import identify
from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.filtering.pii import treat
from tagarela_dagster.corpus.filtering.signals import text_signals
from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.recipe.filtering import Cleanup, Pii


class Clean:
    """Line clean-up."""

    def __init__(self, section: Cleanup) -> None:
        self.section = section

    def __call__(self, work: Work) -> None:
        """Edit ``cleanup``, signal ``lines_removed``."""
        pairs = [clean(text, self.section) for text in work.texts.to_pylist()]
        work.edit("cleanup", pa.array([text for text, _ in pairs], pa.large_string()))
        work.signal("lines_removed", np.array([removed for _, removed in pairs]))


class Identify:
    """Language identification."""

    def __call__(self, work: Work) -> None:
        """Set ``language`` and ``language_score``."""
        languages, scores = identify(work.texts.to_pylist())
        work.set("language", pa.array(languages, pa.string()))
        work.set("language_score", pa.array(scores, pa.float32()))


class Signals:
    """Every signal of the rules."""

    def __init__(self, stop_words: Sequence[str], lexicon: Path | None) -> None:
        self.lexicon = _lexicon(tuple(stop_words))

    def __call__(self, work: Work) -> None:
        """Add RULE_SIGNALS."""
        for name, values in text_signals(work.texts.to_pylist(), self.lexicon).items():
            work.signal(name, values)


class Protect:
    """Personal data."""

    def __init__(self, section: Pii) -> None:
        self.section = section.model_copy(update={"action": "replace"})

    def __call__(self, work: Work) -> None:
        """Edit ``pii``, signal ``pii_found``."""
        found = [treat(text, self.section) for text in work.texts.to_pylist()]
        work.edit("pii", pa.array([text for text, _, _ in found], pa.large_string()))
        work.signal("pii_found", np.array([count for _, count, _ in found]))


@lru_cache(maxsize=1)
def _lexicon(stop_words: tuple[str, ...]) -> Lexicon:
    return Lexicon(stop_words)
