"""Rules: thresholds over signals; the first that a document fails gives the drop reason.

Order and reason names are datatrove's, in FineWeb-2's sequence of filters: GopherRepetition,
FineWebQuality, GopherQuality. ``empty`` stands first in datatrove's repetition filter (no text)
and first in its FineWeb filter (no line with a visible character).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.recipe.corpus import Corpus
from tagarela_dagster.recipe.filtering import C4, Madlad, Pii, Quality, Repetition
from tagarela_dagster.recipe.models import TIERS, Models
from tagarela_dagster.recipe.portuguese import Limits

Values = NDArray[np.floating]


@dataclass(frozen=True)
class Rule:
    """``fails(signal, threshold)`` drops a document with ``reason``; NaN fails no comparison."""

    reason: str
    signal: str
    fails: Callable[[Values, np.floating], NDArray[np.bool_]]
    threshold: float = 0.0


def above(values: Values, threshold: np.floating) -> NDArray[np.bool_]:
    """Values over the threshold."""
    return values > threshold


def below(values: Values, threshold: np.floating) -> NDArray[np.bool_]:
    """Values under the threshold."""
    return values < threshold


def below_but_not_zero(values: Values, threshold: np.floating) -> NDArray[np.bool_]:
    """Values under the threshold, but for those that are 0."""
    return (values < threshold) & (values != 0)


def undefined(values: Values, threshold: np.floating) -> NDArray[np.bool_]:
    """Values that could not be computed."""
    return np.isnan(values)


def repetition_rules(section: Repetition) -> list[Rule]:
    """Gopher repetition rules that are on (a threshold of 0 turns one off)."""
    if not section.enabled:
        return []
    rules = [Rule("dup_line_frac", "dup_line_frac", above, section.dup_line_frac)]
    for n, share in sorted(section.top_n_grams.items()):
        rules.append(Rule(f"top_{n}_gram", f"top_{n}_gram", above, share))
    for n, share in sorted(section.dup_n_grams.items()):
        rules.append(Rule(f"duplicated_{n}_n_grams", f"dup_{n}_gram", above, share))
    return [Rule("empty", "dup_line_frac", undefined), *(r for r in rules if r.threshold)]


def quality_rules(section: Quality) -> list[Rule]:
    """FineWeb rules, then the Gopher quality rules that are on."""
    return [*fineweb_rules(section), *gopher_rules(section)] if section.enabled else []


def fineweb_rules(section: Quality) -> list[Rule]:
    """FineWeb rules; as in datatrove, the ratios of copies and newlines are strictest at 0."""
    punctuation = below_but_not_zero if section.line_punct_exclude_zero else below
    return [
        Rule("empty", "line_punct_ratio", undefined),
        Rule("line_punct_ratio", "line_punct_ratio", punctuation, section.line_punct_ratio),
        Rule("short_line_ratio", "short_line_ratio", above, section.max_short_lines),
        Rule("char_dup_ratio", "char_dup_ratio", above, section.char_duplicates_ratio),
        Rule("list_ratio", "list_ratio", above, section.new_line_ratio),
    ]


def gopher_rules(section: Quality) -> list[Rule]:
    """Gopher quality rules that are on; as in datatrove, a threshold of 0 turns one off."""
    average, symbols = "avg_word_length", section.max_symbol_ratio
    rules = [
        Rule("gopher_short_doc", "words", below, section.min_words),
        Rule("gopher_long_doc", "words", above, section.max_words),
        Rule("gopher_below_avg_threshold", average, below, section.min_avg_word_length),
        Rule("gopher_above_avg_threshold", average, above, section.max_avg_word_length),
        Rule("gopher_too_many_hashes", "hash_ratio", above, symbols),
        Rule("gopher_too_many_ellipsis", "ellipsis_ratio", above, symbols),
        Rule("gopher_too_many_bullets", "bullet_lines", above, section.max_bullet_lines),
        Rule("gopher_too_many_end_ellipsis", "ellipsis_lines", above, section.max_ellipsis_lines),
        Rule("gopher_below_alpha_threshold", "alpha_words", below, section.min_alpha_words),
        Rule("gopher_enough_stop_words", "stop_words", below, section.min_stop_words),
    ]
    return [rule for rule in rules if rule.threshold]


def c4_rules(section: C4) -> list[Rule]:
    """C4's rules that are on; reasons are datatrove's."""
    if not section.enabled:
        return []
    rules = [
        Rule("lorem_ipsum", "c4_lorem_lines", above) if section.lorem_ipsum else None,
        Rule("curly_bracket", "c4_curly_lines", above) if section.curly_bracket else None,
        Rule("too_few_sentences", "c4_sentences", below, section.min_sentences),
    ]
    return [rule for rule in rules if rule]


def madlad_rules(section: Madlad) -> list[Rule]:
    """MADLAD-400's rules that are on."""
    if not section.enabled:
        return []
    return [
        Rule("madlad_too_short", "madlad_sentences", below, section.min_sentences),
        Rule("madlad_questionable", "madlad_questionable", above, section.max_questionable),
    ]


EMPTY = Rule("empty", "line_punct_ratio", undefined)
"""No line with a visible character."""


def privacy_rules(section: Pii) -> list[Rule]:
    """Drop documents with personal data, where the recipe says so."""
    drops = section.enabled and section.action == "drop"
    return [Rule("pii", "pii_found", above)] if drops else []


def portuguese_rules(limits: Limits) -> list[Rule]:
    """Limits on the Portuguese signals that are on; field, signal and reason share a name."""
    named = ((name, getattr(limits, name)) for name in type(limits).model_fields)
    return [Rule(name, name, above, limit) for name, limit in named if limit]


def model_rules(section: Models) -> list[Rule]:
    """Thresholds over the scores of trained models that are on."""
    rules = []
    worst = TIERS.index(section.perplexity.max_tier)
    if section.perplexity.enabled and worst < len(TIERS) - 1:
        rules.append(Rule("perplexity", "perplexity_tier", above, worst))
    for number, (name, classifier) in enumerate(section.classifiers.items(), 1):
        if classifier.min_score:
            signal = f"score_{number}"
            rules.append(Rule(f"classifier_{name}", signal, below, classifier.min_score))
    return rules


def recipe_rules(corpus: Corpus) -> list[Rule]:
    """Every rule over signals that a recipe turns on, in order."""
    return [
        *repetition_rules(corpus.repetition),
        *quality_rules(corpus.quality),
        *c4_rules(corpus.c4),
        *madlad_rules(corpus.madlad),
        *portuguese_rules(corpus.portuguese.limits),
        *privacy_rules(corpus.pii),
        *model_rules(corpus.models),
    ]


def decide(signals: Mapping[str, Values], rules: Sequence[Rule]) -> list[str | None]:
    """Reason of the first rule that each document fails, None for a document that passes.

    Args:
        signals: name -> (documents,) values. Thresholds are rounded to the values' type, so that
            a stored float32 signal that equals its threshold still does.
    """
    size = len(next(iter(signals.values())))
    reasons: list[str | None] = [None] * size
    undecided = np.ones(size, np.bool_)
    for rule in rules:
        values = signals[rule.signal]
        failing = undecided & rule.fails(values, values.dtype.type(rule.threshold))
        for row in np.flatnonzero(failing):
            reasons[row] = rule.reason
        undecided &= ~failing
    return reasons
