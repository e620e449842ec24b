"""Is any of this page Portuguese? A guess on the bytes of the HTML, before anything is parsed.

Extraction costs milliseconds a page and most of a crawl is in other languages. Here one pass over
the bytes skips tags, scripts and comments, folds accents away (whatever the encoding: UTF-8,
Windows-1252 or entities), and counts function words of seven languages in windows of 64 words.
A page goes on as soon as *one* window reads like Portuguese, so that an article in a foreign
template, or below a foreign licence, is not lost; the decision on the whole text is made later, on
the extracted text. Only a page with enough words and no such window is left out.

What it costs in Portuguese pages lost, and what it saves, is measured by benchmarks.extraction
and stands in docs/extraction.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.sources.web.function_words import (
    FUNCTION_WORDS,
    LANGUAGES,
    SURE_WORDS,
)
from tagarela_dagster.corpus.sources.web.html_words import count_words, letter_table, word_table

MIN_WORDS = 40
"""Pages with fewer words are never left out: they hold too little evidence."""
MIN_SHARE = 0.14
"""Function words of Portuguese that make a window Portuguese, as a share of its words."""
MIN_LEAD = 0.9
"""Portuguese function words as a share of the strongest other language's (a neighbour like
Galician shares most of them, and must not be lost for a tie)."""
MIN_SURE = 0.045
"""Words that only Portuguese (and Galician) has, as a share of a window's words."""
DECLARED_SHARE = 0.07
"""``MIN_SHARE`` for a page that calls itself Portuguese (``lang``, ``Content-Language``)."""
DECLARED_LEAD = 0.6
"""``MIN_LEAD`` for such a page."""

_DECLARED = re.compile(rb"<html[^>]{0,300}?\slang\s*=\s*[\"']?\s*pt\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a page's bytes say.

    Attributes:
        words: words outside tags.
        windows: windows of words.
        portuguese: windows that read like Portuguese.
        counts: (languages,) function words of each of ``LANGUAGES`` on the whole page.
    """

    words: int
    windows: int
    portuguese: int
    counts: tuple[int, ...]

    @property
    def is_other(self) -> bool:
        """Whether the page certainly holds no Portuguese text of a paragraph's length."""
        return self.words >= MIN_WORDS and self.portuguese == 0

    @property
    def best_guess(self) -> str:
        """The language with most function words, ``other`` when there are hardly any."""
        best = int(np.argmax(self.counts))
        return LANGUAGES[best] if self.counts[best] > 0.1 * self.words else "other"


def evidence(html: bytes, content_language: str = "") -> Evidence:
    """Count over a page's bytes, as they came (any encoding that holds ASCII).

    Args:
        html: the page; UTF-16 and UTF-32 have no ASCII bytes in a row and give no words.
        content_language: the HTTP header.
    """
    head = html[:4096]
    if head.count(0) > len(head) // 4:
        return Evidence(0, 0, 0, (0,) * len(LANGUAGES))
    declared = content_language.strip().lower().startswith("pt") or bool(_DECLARED.search(head))
    counts = np.zeros(len(LANGUAGES) + 1, np.int64)
    words, windows, portuguese = count_words(
        np.frombuffer(html, np.uint8),
        *_tables(),
        counts,
        DECLARED_SHARE if declared else MIN_SHARE,
        DECLARED_LEAD if declared else MIN_LEAD,
        MIN_SURE,
    )
    return Evidence(words, windows, portuguese, tuple(int(count) for count in counts[:-1]))


@cache
def _tables() -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint8]]:
    lists = [*FUNCTION_WORDS.values(), SURE_WORDS]
    keys, masks = word_table([words.split() for words in lists])
    return keys, masks, letter_table()
