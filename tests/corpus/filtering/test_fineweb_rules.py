from __future__ import annotations

import pytest
from datatrove.utils.text import TERMINAL_PUNCTUATION
from hypothesis import given, settings

from tagarela_dagster.recipe.filtering import Quality
from tests.corpus.filtering.filter_prose import (
    MARKET,
    PROSE,
    fineweb_filter,
    generated_texts,
    gopher_filter,
    ours,
    repetitive_texts,
    theirs,
)

SECTION = Quality(
    min_words=0,
    min_avg_word_length=0,
    max_avg_word_length=0,
    max_symbol_ratio=0,
    max_bullet_lines=0,
    max_ellipsis_lines=0,
    min_alpha_words=0,
    min_stop_words=0,
)
"""Only the FineWeb rules."""
_FILTER = fineweb_filter(SECTION)
_MENU = "\n".join(f"Secção {n} do sítio da junta de freguesia" for n in range(20))


@pytest.mark.parametrize("name", PROSE)
def test_prose_passes(name: str) -> None:
    assert ours(PROSE[name], None, SECTION) is None
    assert theirs(PROSE[name], _FILTER) is None


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("empty", " \n\t\n"),
        ("line_punct_ratio", _MENU),
        ("char_dup_ratio", MARKET + "\n" + MARKET.split("\n")[0]),
        ("list_ratio", "Pão.\nLeite.\nOvos.\nFarinha."),
    ],
)
def test_each_rule_gives_datatroves_reason(reason: str, text: str) -> None:
    assert ours(text, None, SECTION) == reason
    assert theirs(text, _FILTER) == reason


def test_a_document_without_any_final_mark_may_be_let_through() -> None:
    excluded = SECTION.model_copy(update={"line_punct_exclude_zero": True, "new_line_ratio": 1})
    assert ours(_MENU, None, excluded) is None
    assert theirs(_MENU, fineweb_filter(excluded)) is None
    one = _MENU + "\n" + "linha sem fim\n" * 10 + "Fim."
    assert ours(one, None, excluded) == theirs(one, fineweb_filter(excluded)) == "line_punct_ratio"


def test_blank_space_after_the_mark_hides_it() -> None:
    text = "\n".join(line + " " for line in MARKET.split("\n"))
    assert ours(text, None, SECTION) == theirs(text, _FILTER) == "line_punct_ratio"


def test_terminal_marks_are_single_characters() -> None:
    assert {len(mark) for mark in TERMINAL_PUNCTUATION} == {1}


@settings(max_examples=250, deadline=None, derandomize=True)
@given(generated_texts)
def test_generated_texts_are_decided_as_by_datatrove(text: str) -> None:
    assert ours(text, None, SECTION) == theirs(text, _FILTER)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(repetitive_texts)
def test_repetitive_texts_are_decided_as_by_datatrove(text: str) -> None:
    assert ours(text, None, SECTION) == theirs(text, _FILTER)


def test_fineweb_rules_come_before_gopher_rules() -> None:
    both = Quality()
    text = "Menu\nPágina\nContactos\nMapa"
    assert theirs(text, gopher_filter(both)) == "gopher_short_doc"
    assert ours(text, None, both) == "line_punct_ratio"
