from __future__ import annotations

import pytest
from hypothesis import given, settings

from tagarela_dagster.recipe.filtering import Quality
from tests.corpus.filtering.filter_prose import (
    BUS,
    MARKET,
    PROSE,
    fineweb_filter,
    generated_texts,
    gopher_filter,
    ours,
    theirs,
)

SECTION = Quality(line_punct_ratio=0, char_duplicates_ratio=1, new_line_ratio=1)
"""Only the Gopher rules (FineWeb's are never met)."""
_FILTER = gopher_filter(SECTION)
_FLAT = BUS.replace("\n", " ")


@pytest.mark.parametrize("name", PROSE)
def test_prose_passes(name: str) -> None:
    assert ours(PROSE[name], None, SECTION) is None
    assert theirs(PROSE[name], _FILTER) is None


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("gopher_short_doc", "Um bilhete curto, que não chega a cinquenta palavras."),
        ("gopher_below_avg_threshold", "é o a e o um de a só à " * 10),
        (
            "gopher_above_avg_threshold",
            "de constitucionalissimamente desproporcionadamente " * 25,
        ),
        ("gopher_too_many_hashes", _FLAT + " #" * 30),
        ("gopher_too_many_ellipsis", _FLAT.replace(" e ", "… ").replace(" a ", "… ") + " …" * 8),
        ("gopher_too_many_bullets", "\n".join(f"- {line}" for line in MARKET.split("\n"))),
        (
            "gopher_too_many_end_ellipsis",
            "\n".join(line + ("..." if n % 2 else "") for n, line in enumerate(BUS.split("\n"))),
        ),
        ("gopher_below_alpha_threshold", _FLAT + " 2024" * 40),
        ("gopher_enough_stop_words", "comboio rápido parte amanhã cedo " * 12),
    ],
)
def test_each_rule_gives_datatroves_reason(reason: str, text: str) -> None:
    assert ours(text, None, SECTION) == reason
    assert theirs(text, _FILTER) == reason


def test_a_document_with_too_many_words_is_dropped() -> None:
    short = SECTION.model_copy(update={"max_words": 60})
    assert ours(BUS, None, short) == theirs(BUS, gopher_filter(short)) == "gopher_long_doc"


def test_words_of_marks_alone_do_not_count() -> None:
    # 49 words and 30 dashes.
    text = "palavra de que " * 16 + "fim " + "— " * 30
    assert ours(text, None, SECTION) == theirs(text, _FILTER) == "gopher_short_doc"


def test_stop_words_are_distinct_and_case_sensitive() -> None:
    section = SECTION.model_copy(update={"stop_words": ["de", "que"], "min_avg_word_length": 0})
    text = "DE QUE " * 20 + "de " * 30
    reason = ours(text, None, section)
    assert reason == theirs(text, gopher_filter(section)) == "gopher_enough_stop_words"
    assert ours(text + "que", None, section) is None
    assert theirs(text + "que", gopher_filter(section)) is None


def test_zero_turns_a_rule_off() -> None:
    off = SECTION.model_copy(update={"min_words": 0, "min_stop_words": 0, "min_alpha_words": 0})
    assert ours("Bom dia!", None, off) is None
    assert theirs("Bom dia!", gopher_filter(off)) is None


_SMALL = SECTION.model_copy(update={"min_words": 5})
_SMALL_FILTERS = (fineweb_filter(_SMALL), gopher_filter(_SMALL))


@settings(max_examples=250, deadline=None, derandomize=True)
@given(generated_texts)
def test_generated_texts_are_decided_as_by_datatrove(text: str) -> None:
    assert ours(text, None, _SMALL) == theirs(text, *_SMALL_FILTERS)
