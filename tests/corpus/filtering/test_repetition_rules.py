from __future__ import annotations

from itertools import islice, product

import pytest
from hypothesis import given, settings

from tagarela_dagster.corpus.filtering.signals import text_signals
from tagarela_dagster.recipe.filtering import Repetition
from tests.corpus.filtering.filter_prose import (
    BUS,
    MARKET,
    PROSE,
    generated_texts,
    lexicon_of,
    ours,
    repetition_filter,
    repetitive_texts,
    theirs,
)

SECTION = Repetition()
_FILTER = repetition_filter(SECTION)
_LINES = MARKET.split("\n")


def signals(text: str) -> dict[str, float]:
    return {name: float(v[0]) for name, v in text_signals([text], lexicon_of()).items()}


@pytest.mark.parametrize("name", PROSE)
def test_prose_passes(name: str) -> None:
    assert ours(PROSE[name], SECTION, None) is None
    assert theirs(PROSE[name], _FILTER) is None


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("empty", ""),
        ("dup_line_frac", "\n".join(_LINES[:4] * 2)),
        ("dup_line_frac", "\n\n"),
        ("top_2_gram", "ele disse " * 8 + "que viria cedo"),
        (
            "top_3_gram",
            "o Rio Douro " + "o Rio Douro e " * 3 + "as outras águas que descem para o mar",
        ),
        (
            "top_4_gram",
            "Para saber mais sobre o programa das festas, ligue para a junta de freguesia. "
            "Quem vier de longe pode saber mais sobre o alojamento no posto de turismo, ou "
            "escrever-nos.",
        ),
        ("duplicated_5_n_grams", MARKET.replace("\n", " ") + " " + _LINES[1] + " " + _LINES[2]),
        (
            "duplicated_10_n_grams",
            MARKET.replace("\n", " ") + " " + " ".join(MARKET.replace("\n", " ").split()[20:37]),
        ),
    ],
)
def test_each_rule_gives_datatroves_reason(reason: str, text: str) -> None:
    assert ours(text, SECTION, None) == reason
    assert theirs(text, _FILTER) == reason


def test_the_top_n_gram_counts_even_when_it_occurs_once() -> None:
    assert signals("casa amarela")["top_2_gram"] == 1.0
    assert ours("casa amarela", SECTION, None) == theirs("casa amarela", _FILTER) == "top_2_gram"


def test_among_equally_frequent_n_grams_the_first_in_the_text_counts() -> None:
    # "o rio" and "extraordinariamente belo" both occur twice.
    text = "o rio extraordinariamente belo . o rio ; extraordinariamente belo ,"
    assert signals(text)["top_2_gram"] == 2 * len("o rio") / len(text)


def test_duplicate_n_grams_are_compared_as_joined_characters() -> None:
    # "c" "a sa" and "ca" "sa": other words, same characters when joined.
    first, second = "ab c de f g", "a bc d ef g"
    text = f"{first} {second}"
    assert signals(text)["dup_5_gram"] == 7 / len(text)
    only = Repetition(top_n_grams={}, dup_n_grams={5: 0.2})
    assert ours(text, only, None) == theirs(text, repetition_filter(only)) == "duplicated_5_n_grams"


def test_after_a_repeated_n_gram_the_walk_goes_on_behind_it() -> None:
    text = "um dois três quatro cinco " * 3
    assert signals(text.strip())["dup_5_gram"] == 2 * len("umdoistrêsquatrocinco") / len(
        text.strip()
    )


def test_lines_are_split_at_runs_of_newlines() -> None:
    assert signals("a\n\n\na\nb")["dup_line_frac"] == 1 / 3
    assert signals("\na\n")["dup_line_frac"] == 1 / 3


def test_zero_turns_a_rule_off() -> None:
    text = "\n".join(_LINES * 3)
    assert ours(text, SECTION, None) == "dup_line_frac"
    none = Repetition(dup_line_frac=0, top_n_grams={2: 0}, dup_n_grams={5: 0})
    assert ours(text, none, None) is None
    assert ours(text, Repetition(enabled=False), None) is None


def test_a_value_on_the_threshold_passes() -> None:
    text = "\n".join([*_LINES[:3], _LINES[0]])
    at = Repetition(dup_line_frac=0.25, top_n_grams={}, dup_n_grams={})
    assert signals(text)["dup_line_frac"] == 0.25
    assert ours(text, at, None) is None
    below = at.model_copy(update={"dup_line_frac": 0.2499})
    assert ours(text, below, None) == "dup_line_frac"


@settings(max_examples=250, deadline=None, derandomize=True)
@given(generated_texts)
def test_generated_texts_are_decided_as_by_datatrove(text: str) -> None:
    assert ours(text, SECTION, None) == theirs(text, _FILTER)


_LOOSE = Repetition(dup_line_frac=0.6, top_n_grams={4: 0.5}, dup_n_grams={5: 0.5, 10: 0.4})
_LOOSE_FILTER = repetition_filter(_LOOSE)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(repetitive_texts)
def test_repetitive_texts_are_decided_as_by_datatrove(text: str) -> None:
    assert ours(text, SECTION, None) == theirs(text, _FILTER)
    assert ours(text, _LOOSE, None) == theirs(text, _LOOSE_FILTER)


def test_a_long_document_keeps_its_n_gram_keys_apart() -> None:
    # More words than 4-gram keys of 63 bits can tell apart without renumbering.
    words = ["".join(word) for word in islice(product("aeioubcdf", repeat=5), 59_000)]
    words[50_000:50_004] = words[10:14]
    text = " ".join(words)
    values = signals(text)
    gram = " ".join(words[10:14])
    assert values["top_4_gram"] == 2 * len(gram) / len(text)
    assert values["dup_5_gram"] == 0
    assert ours(BUS, SECTION, None) is None
