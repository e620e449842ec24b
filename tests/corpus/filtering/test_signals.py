from __future__ import annotations

import math
import time

import numpy as np
import pyarrow as pa
import pytest
from datatrove.pipeline.filters import C4QualityFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.document import SIGNALS
from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.filtering.rules import (
    c4_rules,
    decide,
    madlad_rules,
    quality_rules,
    repetition_rules,
)
from tagarela_dagster.corpus.filtering.signals import RULE_SIGNALS, buffer_signals, text_signals
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.recipe.filtering import C4, Madlad, Quality, Repetition
from tests.corpus.filtering.filter_prose import PROSE, lexicon_of, theirs
from tests.corpus.filtering.reference_signals import reference

STOP_WORDS = ("de", "que", "a")


def signals(text: str) -> dict[str, float]:
    values = text_signals([text], lexicon_of(*STOP_WORDS))
    return {name: float(column[0]) for name, column in values.items()}


def test_every_signal_of_the_rules_has_a_place_in_the_documents() -> None:
    assert set(RULE_SIGNALS) <= set(SIGNALS)
    rules = repetition_rules(Repetition()) + quality_rules(Quality())
    assert {rule.signal for rule in rules} <= set(RULE_SIGNALS)


def test_signals_of_a_small_text_are_as_counted_by_hand() -> None:
    text = "- Vou à feira de gado…\n- A que horas?\n# a de\n"
    # Words: - Vou à feira de gado … - A que horas ? # a de
    found = signals(text)
    assert found["words"] == 10
    assert found["avg_word_length"] == (3 + 1 + 5 + 2 + 4 + 1 + 3 + 5 + 1 + 2) / 10
    assert found["alpha_words"] == 10 / 15
    assert found["hash_ratio"] == found["ellipsis_ratio"] == 1 / 15
    assert found["bullet_lines"] == 2 / 3
    assert found["ellipsis_lines"] == 1 / 3
    assert found["stop_words"] == 3
    assert found["line_punct_ratio"] == 1 / 3
    assert found["list_ratio"] == 3 / 15
    assert found["dup_line_frac"] == found["char_dup_ratio"] == 0


def test_a_ratio_without_divisor_is_no_number() -> None:
    found = signals("")
    assert math.isnan(found["line_punct_ratio"]) and math.isnan(found["alpha_words"])
    assert found["words"] == found["top_2_gram"] == found["dup_10_gram"] == 0


def test_no_text_gives_empty_columns() -> None:
    assert {len(column) for column in text_signals([], lexicon_of()).values()} == {0}


def test_stored_signals_decide_as_fresh_ones() -> None:
    texts = [*PROSE.values(), "Menu\nInício\nMapa", "ele disse " * 30, "", "\n".join(["Olá."] * 20)]
    rules = repetition_rules(Repetition()) + quality_rules(Quality())
    fresh = text_signals(texts, lexicon_of(*Quality().stop_words))
    stored = {name: values.astype(np.float32) for name, values in fresh.items()}
    assert decide(stored, rules) == decide(fresh, rules)
    assert len(set(decide(fresh, rules))) == 4


def test_a_stored_value_on_its_threshold_still_passes() -> None:
    # 0.1 as float32 is above 0.1: compared as it is, it would drop the document.
    rules = quality_rules(Quality())
    signal = {name: np.array([0.5], np.float32) for name in RULE_SIGNALS}
    signal |= {name: np.array([60], np.float32) for name in ("words", "stop_words")}
    signal |= {"avg_word_length": np.array([5], np.float32)}
    signal |= {"alpha_words": np.array([0.9], np.float32), "list_ratio": np.array([0], np.float32)}
    for name in ("char_dup_ratio", "hash_ratio", "ellipsis_ratio", "ellipsis_lines"):
        signal[name] = np.array([0.1], np.float32)
    assert decide(signal, rules) == [None]
    signal["hash_ratio"] = np.array([0.1001], np.float32)
    assert decide(signal, rules) == ["gopher_too_many_hashes"]


def test_batches_do_not_change_signals() -> None:
    together = text_signals(PROSE.values(), lexicon_of())
    for row, text in enumerate(PROSE.values()):
        alone = text_signals([text], lexicon_of())
        assert all(alone[name][0] == together[name][row] for name in RULE_SIGNALS)


PIECES = [
    "A feira abre às 8h.", "a", "b ", "ab", "\n", "\n\n", "\r\n", "\x85", "\u2028", "- item", "• x",
    "...", "…", "#", "!", "? ", ". ", "Lisboa, 1755", "\0", "\u200f", "e\u0301", "é", "😀", "\t",
    "\u3000x",
    "O RIO SUBIU ", "(12/30) ", "ele disse ", "\x1c", "。",
]  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=60).map("".join), min_size=1, max_size=3)
)
def test_signals_are_those_of_the_reference(texts: list[str]) -> None:
    found = text_signals(texts, lexicon_of(*STOP_WORDS))
    for row, text in enumerate(texts):
        for name, value in reference(text, STOP_WORDS).items():
            assert found[name][row] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_c4_counts_a_line_at_the_first_rule_that_it_fails() -> None:
    text = (
        "Menu\nO rio subiu dois metros. Ninguém ficou ferido!\nFim.\nDiz-se (ver nota).[1][]\n"
        "Ative o JavaScript para ler mais.\nSem fim assim...\nLeia a cookie policy. Já leu?\n"
        f"{'a' * 1001} é uma palavra.\nfunção a { {1} } faz isto.\nLorem Ipsum dolor sit amet."
    )
    found = signals(text)
    counted = {name: round(found[f"c4_{name}_lines"] * 10) for name in (
        "kept", "no_punctuation", "short", "long_word", "javascript", "policy", "curly", "lorem"
    )}  # fmt: skip
    assert counted == {
        "kept": 2, "no_punctuation": 2, "short": 1, "long_word": 1, "javascript": 1, "policy": 1,
        "curly": 1, "lorem": 1,
    }  # fmt: skip
    assert found["c4_sentences"] == 3


@pytest.mark.parametrize("name", PROSE)
def test_c4_decides_as_datatrove(name: str) -> None:
    lines = PROSE[name].split("\n")
    for text in (
        PROSE[name],
        "\n".join(lines[:2]),
        "{}".join(lines),
        "Lorem ipsum a b.\n" + lines[0],
    ):
        section = C4(enabled=True)
        (decided,) = decide(text_signals([text], lexicon_of()), c4_rules(section))
        assert decided == theirs(text, C4QualityFilter(language="por"))


def test_questionable_sentences_are_short_long_technical_or_lists() -> None:
    capitals = "Lisboa Porto Braga Évora Faro Beja Viseu Aveiro Leiria Setúbal Guarda e Bragança"
    text = f"O rio subiu dois metros ontem. Fim! {capitals}. 12/34 (56) 78/90 {{+}} 11. {'x' * 501}"
    found = signals(text)
    assert found["madlad_sentences"] == 5 and found["madlad_questionable"] == 4 / 5
    rules = madlad_rules(Madlad(enabled=True))
    values = {name: np.array([value]) for name, value in found.items()}
    assert decide(values, rules) == ["madlad_questionable"]
    assert decide({**values, "madlad_sentences": np.array([4.0])}, rules) == ["madlad_too_short"]


@pytest.mark.parametrize(
    "text",
    ["é" * 2_000_000, "a\n" * 300_000, "casa " * 300_000, "\0" * 500_000, "😀" * 200_000,
     "-a" * 400_000, "...\u2028" * 100_000, "(" * 300_000, "ab c a bc " * 50_000],
    ids=["one word", "one-word lines", "one word again", "NUL", "emoji", "hyphens", "breaks",
         "brackets", "cuts"],
)  # fmt: skip
def test_no_text_stalls_or_changes_its_neighbours(text: str) -> None:
    neighbour = PROSE["market"]
    start = time.process_time()
    found = text_signals([neighbour, text, neighbour], Lexicon(STOP_WORDS))
    assert time.process_time() - start < 10
    alone = text_signals([neighbour], lexicon_of(*STOP_WORDS))
    for name, values in found.items():
        assert values[0] == values[2] == alone[name][0]


def test_bytes_that_are_no_text_do_no_harm() -> None:
    binary = pa.array([b"bom", b"\xff\xfe", b"dia\xe2\x80", b"\xc3", b"bom"], pa.large_binary())
    found = buffer_signals(*text_buffers(binary), lexicon_of(*STOP_WORDS))
    assert found["words"].tolist() == [1, 2, 3, 1, 1]
