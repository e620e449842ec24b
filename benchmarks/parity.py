"""Agreement with datatrove rule by rule: each of its rules alone against the same rule here.

datatrove's filters stop at the first rule that fails, so each rule gets a filter of its own. They
share the words of a document (spaCy runs once a text), which changes no answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.utils.text import split_into_words

from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.filtering.rules import (
    Rule,
    c4_rules,
    decide,
    quality_rules,
    repetition_rules,
)
from tagarela_dagster.corpus.filtering.signals import text_signals
from tagarela_dagster.recipe.filtering import C4, Quality, Repetition

PARITY_CHARACTERS = 3_000
"""Of each document, so that many documents fit into a minute of datatrove."""

BEGIN, END = "<!-- parity: begin -->", "<!-- parity: end -->"
_OFF = 999

_shared_words = lru_cache(maxsize=4)(split_into_words)


def alone() -> Iterator[tuple[list[Rule], BaseFilter]]:
    """Each rule (C4's are one), and datatrove's filter with nothing else turned on."""
    repetition, quality = Repetition(), Quality(max_short_lines=0.67)
    ours = {rule.reason: [rule] for rule in repetition_rules(repetition) + quality_rules(quality)}
    off: dict[str, Any] = dict.fromkeys(
        ("dup_line_frac", "dup_para_frac", "dup_line_char_frac", "dup_para_char_frac"), 0
    )
    off |= {"top_n_grams": (), "dup_n_grams": (), "language": "por"}
    yield (
        ours["dup_line_frac"],
        GopherRepetitionFilter(**(off | {"dup_line_frac": repetition.dup_line_frac})),
    )
    for n, share in repetition.top_n_grams.items():
        yield (
            ours[f"top_{n}_gram"],
            GopherRepetitionFilter(**(off | {"top_n_grams": ((n, share),)})),
        )
    for n, share in repetition.dup_n_grams.items():
        own = GopherRepetitionFilter(**(off | {"dup_n_grams": ((n, share),)}))
        yield ours[f"duplicated_{n}_n_grams"], own
    off = {"line_punct_thr": 0, "language": "por"}
    off |= dict.fromkeys(("short_line_thr", "char_duplicates_ratio", "new_line_ratio"), _OFF)
    for reason, name, value in (
        ("line_punct_ratio", "line_punct_thr", quality.line_punct_ratio),
        ("short_line_ratio", "short_line_thr", quality.max_short_lines),
        ("char_dup_ratio", "char_duplicates_ratio", quality.char_duplicates_ratio),
        ("list_ratio", "new_line_ratio", quality.new_line_ratio),
    ):
        yield ours[reason], FineWebQualityFilter(**(off | {name: value}))
    off = dict.fromkeys(
        ("min_doc_words", "max_doc_words", "min_avg_word_length", "max_avg_word_length",
         "max_symbol_word_ratio", "max_bullet_lines_ratio", "max_ellipsis_lines_ratio",
         "max_non_alpha_words_ratio", "min_stop_words")
    ) | {"stop_words": quality.stop_words, "language": "por"}  # fmt: skip
    for reasons, name, value in (
        (("short_doc",), "min_doc_words", quality.min_words),
        (("long_doc",), "max_doc_words", quality.max_words),
        (("below_avg_threshold",), "min_avg_word_length", quality.min_avg_word_length),
        (("above_avg_threshold",), "max_avg_word_length", quality.max_avg_word_length),
        (
            ("too_many_hashes", "too_many_ellipsis"),
            "max_symbol_word_ratio",
            quality.max_symbol_ratio,
        ),
        (("too_many_bullets",), "max_bullet_lines_ratio", quality.max_bullet_lines),
        (("too_many_end_ellipsis",), "max_ellipsis_lines_ratio", quality.max_ellipsis_lines),
        (("below_alpha_threshold",), "max_non_alpha_words_ratio", quality.min_alpha_words),
        (("enough_stop_words",), "min_stop_words", quality.min_stop_words),
    ):
        rules = [rule for reason in reasons for rule in ours[f"gopher_{reason}"]]
        yield rules, GopherQualityFilter(**(off | {name: value}))
    yield c4_rules(C4(enabled=True)), C4QualityFilter(language="por")


def parity(texts: list[str]) -> list[dict[str, Any]]:
    """Of each rule: documents that both drop, that one side drops alone, or for another reason."""
    # datatrove divides by the number of words and of lines: such texts raise there.
    lexicon = Lexicon(Quality().stop_words)
    texts = [text for text in texts if text.strip()]
    signals = text_signals(texts, lexicon)
    for module in (fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter):
        module.split_into_words = _shared_words  # type: ignore[attr-defined]
    pairs = list(alone())
    ours = [decide(signals, rules) for rules, _ in pairs]
    theirs: list[list[str | None]] = [[] for _ in pairs]
    for text in texts:
        for (_, peer), reasons in zip(pairs, theirs, strict=True):
            answer = peer.filter(Document(text=text, id="0"))
            reasons.append(None if answer is True else answer[1])
    rows = []
    for (rules, _), own, other in zip(pairs, ours, theirs, strict=True):
        same = np.array([a == b for a, b in zip(own, other, strict=True)])
        rows.append(
            {
                "rule": ", ".join(f"`{rule.reason}`" for rule in rules),
                "documents": len(texts),
                "dropped by datatrove": sum(reason is not None for reason in other),
                "dropped here": sum(reason is not None for reason in own),
                "agreement": f"{100 * same.mean():.3f}%",
            }
        )
    return rows


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Put the rows between the marks of a document."""
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
    lines += [" | ".join(str(value) for value in row.values()) for row in rows]
    table = "\n".join(f"| {line} |" for line in lines)
    text = path.read_text()
    head, rest = text.split(BEGIN)
    path.write_text(f"{head}{BEGIN}\n{table}\n{rest[rest.index(END) :]}")
