from __future__ import annotations

import pytest

from tagarela_dagster.evals.protocols import PROTOCOLS


@pytest.mark.parametrize(
    ("generation", "last_word", "answer", "correct"),
    [
        (" autocarro. E depois", "autocarro", "autocarro", True),
        ("\n\nautocarro", "autocarro", "autocarro", True),
        (" Árvore", "árvore", "Árvore", True),
        (" arvore", "árvore", "arvore", True),
        (" ÁRVORE!", "arvore", "ÁRVORE", True),
        (" «pão»", "pão", "pão", True),
        (" ...", "pão", "", False),
        ("", "pão", "", False),
        ("   \n ", "pão", "", False),
        (" pães", "pão", "pães", False),
        (" guarda-chuva", "guarda", "guarda", True),
        (" guarda-chuva", "guarda-chuva", "guarda", False),
        ("s autocarros", "autocarro", "s", False),
        (" да", "da", "да", True),  # the transliteration that the protocol prescribes
        (" 3", "três", "3", False),
        (" pa\u0303o", "pão", "pa", False),  # a decomposed accent ends a word
        (" \U0001f600", "pão", "", False),
        (" \u0640", "pão", "\u0640", False),  # a letter without transliteration
    ],
)
def test_gloria_takes_the_first_word_and_ignores_case_and_accents(
    generation: str, last_word: str, answer: str, correct: bool
) -> None:
    reading = PROTOCOLS["gloria"]
    assert reading.answer(generation) == answer
    assert reading.score(generation, last_word) is correct


@pytest.mark.parametrize(
    ("generation", "last_word", "answer", "correct"),
    [
        (" autocarro. E depois", "autocarro", "autocarro", True),
        (" autocarro?!...", "autocarro", "autocarro", True),
        (" Autocarro", "autocarro", "Autocarro", False),
        (" arvore", "árvore", "arvore", False),
        (" árvore;", "árvore", "árvore;", False),
        (" «pão»", "pão", "«pão»", False),
        (" ...", "pão", "", False),
        ("", "pão", "", False),
        ("\n\t", "pão", "", False),
        (" . pão", "pão", "", False),
        (" guarda-chuva", "guarda-chuva", "guarda-chuva", True),
        (" да", "da", "да", False),
        (" pa\u0303o", "pão", "pa\u0303o", False),
        ("\u00a0pão", "pão", "pão", True),
    ],
)
def test_tucano_takes_the_first_token_and_minds_case_and_accents(
    generation: str, last_word: str, answer: str, correct: bool
) -> None:
    reading = PROTOCOLS["tucano"]
    assert reading.answer(generation) == answer
    assert reading.score(generation, last_word) is correct
