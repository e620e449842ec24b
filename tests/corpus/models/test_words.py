from __future__ import annotations

import unicodedata

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.kernels.ngram_words import new_word, next_token
from tests.corpus.models.texts import plain_tokens, tokens


def test_words_are_folded_numbers_are_zero_and_marks_stand_alone() -> None:
    assert tokens("Dir-se-ia que a ÁGUA, «João» custou 3.500 €…\nFim") == [
        *("dir-se-ia", "que", "a", "água", ",", "«", "joão", "»", "custou"),
        *("0", ".", "0", "€", "…", "\n", "fim"),
    ]


def test_a_hyphen_belongs_to_a_word_only_between_letters() -> None:
    assert tokens("não- -sim guarda-chuva 5-a") == [
        *("não", "-", "-", "sim", "guarda-chuva", "0", "-", "a"),
    ]


def test_composed_and_decomposed_accents_give_the_same_words() -> None:
    text = "Ação, às três: avô, avó, pêssego, Ângela, pinguim, linguïça, última, mañana"
    assert tokens(unicodedata.normalize("NFD", text)) == tokens(text)


def test_marks_of_direction_soft_hyphens_and_broken_bytes_are_not_there() -> None:
    assert tokens("co\u00adra\u200bção \u202eraro\ufeff") == ["coração", "raro"]
    assert tokens(b"bom\xff dia\xc3") == ["bom", "dia"]
    assert tokens(b"a\x00b\xe2\x80") == ["a", "b"]


def test_a_word_without_end_is_cut_and_passed_over() -> None:
    assert tokens("a" * 10_000_000 + " fim") == ["a" * 64, "fim"]


PORTUGUESE = st.text("abcçãéíõúÀÉÔ ,.-«»?!\n\t0123456789ºª", max_size=60)


@settings(max_examples=50, deadline=None)
@given(PORTUGUESE)
def test_words_are_those_of_a_regular_expression(text: str) -> None:
    assert tokens(text) == plain_tokens(text)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_end(data: bytes) -> None:
    array, word, position = np.frombuffer(data, np.uint8), new_word(), 0
    while True:
        after, length, kind, _ = next_token(array, position, len(array), word)
        assert position <= after <= len(array) and length <= 68
        if kind == 0:
            break
        assert after > position
        position = after
