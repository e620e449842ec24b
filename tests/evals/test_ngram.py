from __future__ import annotations

from tagarela_dagster.evals.items import Item
from tagarela_dagster.evals.ngram import NgramBaseline

TEXTS = [
    "O pão de queijo. O pão de queijo é bom, e o pão de forma também.",
    "Gosta de água; bebe água. Viu o mar de longe e o rio de perto, de perto.",
]


def test_the_trigram_answers_what_follows_two_words_then_one_then_the_most_frequent() -> None:
    items = [
        Item("1", "Comi um pão de", "queijo"),
        Item("2", "Ele gosta muito de", "perto"),
        Item("3", "Já xyz", "nada"),
    ]
    baseline = NgramBaseline(items)
    baseline.read(TEXTS)
    # "pão de": queijo 2, forma 1. "muito de" is unknown, "de": queijo 2, perto 2 (alphabet: perto).
    assert baseline.trigram() == ["queijo", "perto", "de"]
    assert baseline.unigram() == ["de", "de", "de"]
    assert baseline.words["de"] == 7
    assert baseline.read_words == 40


def test_a_baseline_without_text_answers_nothing() -> None:
    assert NgramBaseline([Item("1", "Comi um", "pão")]).trigram() == [""]
