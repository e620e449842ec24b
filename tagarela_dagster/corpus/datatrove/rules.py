"""datatrove's rule filters for Portuguese, at the speed of kernels.

Names of classes, parameters, defaults and reasons are datatrove's (``pipeline/filters/``), so that
swapping the import is all that a pipeline needs; decisions are equal (docs/datatrove.md has the
figures). What is different: documents are judged in batches, ``language`` is Portuguese, and the
stop words of GopherQualityFilter are Portuguese where none are given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.filters.gopher_repetition_filter import find_duplicates
from datatrove.pipeline.writers.disk_base import DiskWriter
from datatrove.utils.text import TERMINAL_PUNCTUATION
from datatrove.utils.typeshelper import Languages
from numpy.typing import NDArray

from tagarela_dagster.corpus.datatrove.measured import STOP_WORDS, measured
from tagarela_dagster.corpus.filtering.rules import (
    Rule,
    above,
    decide,
    fineweb_rules,
    gopher_rules,
    undefined,
)
from tagarela_dagster.recipe.filtering import Quality

BATCH = 500
Result = bool | tuple[bool, str]
Shares = Sequence[tuple[int, float]]
Signals = dict[str, NDArray[np.float64]]


class RuleFilter(BaseFilter):
    """A filter by thresholds over signals.

    Args:
        rules: the first that a document fails gives the reason.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        exclusion_writer: DiskWriter | None,
        language: str,
        batch_size: int,
        stop_words: Sequence[str] = STOP_WORDS,
    ) -> None:
        super().__init__(exclusion_writer, batch_size)
        if language != Languages.portuguese:
            raise ValueError(
                f"language is {language!r}, but the words of these kernels are Portuguese "
                f"({Languages.portuguese!r}): use datatrove's own filter"
            )
        self.rules = list(rules)
        self.stop_words = tuple(stop_words)

    def filter(self, doc: Document) -> Result:
        """Judge one document; ``filter_batch`` is the faster way."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[Result]:
        """Judge documents together."""
        reasons = self.reasons(batch, measured(self.stop_words).signals(batch))
        return [True if reason is None else (False, reason) for reason in reasons]

    def reasons(self, batch: list[Document], signals: Signals) -> list[str | None]:
        """(documents,) why each is dropped, None to keep it."""
        return decide(signals, self.rules)


class GopherRepetitionFilter(RuleFilter):
    """Gopher's repetition rules; ``dup_para_frac`` and the shares of characters are off at 0."""

    name = "👯 Gopher Repetition"

    def __init__(
        self,
        dup_line_frac: float | None = 0.3,
        dup_para_frac: float | None = 0.3,
        dup_line_char_frac: float | None = 0.2,
        dup_para_char_frac: float | None = 0.2,
        top_n_grams: Shares = ((2, 0.2), (3, 0.18), (4, 0.16)),
        dup_n_grams: Shares = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)),
        exclusion_writer: DiskWriter | None = None,
        language: str = Languages.portuguese,
        batch_size: int = BATCH,
    ) -> None:
        for name, given, known in (
            ("top_n_grams", top_n_grams, range(2, 5)),
            ("dup_n_grams", dup_n_grams, range(5, 11)),
        ):
            if other := [n for n, _ in given if n not in known]:
                raise ValueError(
                    f"{name} has n = {other[0]}; measured are {known[0]} to {known[-1]}: "
                    "leave it out, or use datatrove's own filter for it"
                )
        lines = [Rule("dup_line_frac", "dup_line_frac", above, dup_line_frac or 0)]
        grams = [Rule(f"top_{n}_gram", f"top_{n}_gram", above, share) for n, share in top_n_grams]
        grams += [
            Rule(f"duplicated_{n}_n_grams", f"dup_{n}_gram", above, share)
            for n, share in dup_n_grams
        ]
        super().__init__(grams, exclusion_writer, language, batch_size)
        self.before = [Rule("empty", "dup_line_frac", undefined)]
        self.lines = lines if dup_line_frac else []
        self.paragraphs = (dup_para_frac, dup_para_char_frac)
        self.line_characters = dup_line_char_frac

    def reasons(self, batch: list[Document], signals: Signals) -> list[str | None]:
        """Paragraphs and characters of lines are counted by datatrove's own function."""
        reasons = decide(signals, self.before)
        texts = [document.text for document in batch]
        _fill(reasons, [_paragraphs(text, *self.paragraphs) for text in texts])
        _fill(reasons, decide(signals, self.lines))
        _fill(reasons, [_lines(text, self.line_characters) for text in texts])
        _fill(reasons, decide(signals, self.rules))
        return reasons


class GopherQualityFilter(RuleFilter):
    """Gopher's quality rules; 0 or None turns one off."""

    name = "🥇 Gopher Quality"

    def __init__(
        self,
        min_doc_words: int | None = 50,
        max_doc_words: int | None = 100_000,
        min_avg_word_length: float | None = 3,
        max_avg_word_length: float | None = 10,
        max_symbol_word_ratio: float | None = 0.1,
        max_bullet_lines_ratio: float | None = 0.9,
        max_ellipsis_lines_ratio: float | None = 0.3,
        max_non_alpha_words_ratio: float | None = 0.8,
        min_stop_words: int | None = 2,
        stop_words: Sequence[str] | None = None,
        exclusion_writer: DiskWriter | None = None,
        language: str = Languages.portuguese,
        batch_size: int = BATCH,
    ) -> None:
        # model_construct: datatrove takes any threshold, None too.
        section = Quality.model_construct(
            min_words=min_doc_words,
            max_words=max_doc_words,
            min_avg_word_length=min_avg_word_length,
            max_avg_word_length=max_avg_word_length,
            max_symbol_ratio=max_symbol_word_ratio,
            max_bullet_lines=max_bullet_lines_ratio,
            max_ellipsis_lines=max_ellipsis_lines_ratio,
            min_alpha_words=max_non_alpha_words_ratio,
            min_stop_words=min_stop_words,
        )
        words = STOP_WORDS if stop_words is None else tuple(dict.fromkeys(stop_words))
        super().__init__(gopher_rules(section), exclusion_writer, language, batch_size, words)


class FineWebQualityFilter(RuleFilter):
    """FineWeb's rules over lines."""

    name = "🍷 FineWeb Quality"

    def __init__(
        self,
        exclusion_writer: DiskWriter | None = None,
        line_punct_thr: float = 0.12,
        line_punct_exclude_zero: bool = False,
        stop_chars: Sequence[str] | None = None,
        short_line_thr: float = 0.67,
        short_line_length: int = 30,
        char_duplicates_ratio: float = 0.01,
        new_line_ratio: float = 0.3,
        language: str = Languages.portuguese,
        batch_size: int = BATCH,
    ) -> None:
        if stop_chars is not None and set(stop_chars) != set(TERMINAL_PUNCTUATION):
            raise ValueError(
                "stop_chars are datatrove's TERMINAL_PUNCTUATION here: leave them out, or use "
                "datatrove's own filter"
            )
        if short_line_length != 30:
            raise ValueError(
                f"short_line_length is {short_line_length}, but lines of up to 30 characters are "
                "counted: use datatrove's own filter"
            )
        section = Quality.model_construct(
            line_punct_ratio=line_punct_thr,
            line_punct_exclude_zero=line_punct_exclude_zero,
            max_short_lines=short_line_thr,
            char_duplicates_ratio=char_duplicates_ratio,
            new_line_ratio=new_line_ratio,
        )
        super().__init__(fineweb_rules(section), exclusion_writer, language, batch_size)


def _paragraphs(text: str, share: float | None, characters: float | None) -> str | None:
    if not (share or characters):
        return None
    paragraphs = re.split(r"\n{2,}", text.strip())
    again, size = find_duplicates(paragraphs)
    if share and again / len(paragraphs) > share:
        return "dup_para_frac"
    return "dup_para_char_frac" if characters and size / max(1, len(text)) > characters else None


def _lines(text: str, characters: float | None) -> str | None:
    if not characters or not text:
        return None
    _, size = find_duplicates(re.split(r"\n+", text))
    return "dup_line_char_frac" if size / len(text) > characters else None


def _fill(reasons: list[str | None], more: Sequence[str | None]) -> None:
    for row, reason in enumerate(more):
        reasons[row] = reasons[row] or reason
