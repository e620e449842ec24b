from __future__ import annotations

import math

import numpy as np

from tagarela_dagster.corpus.document import SIGNALS
from tagarela_dagster.corpus.filtering.rules import decide, quality_rules, repetition_rules
from tagarela_dagster.corpus.filtering.signals import RULE_SIGNALS, text_signals
from tagarela_dagster.recipe.filtering import Quality, Repetition
from tests.corpus.filtering.filter_prose import PROSE, lexicon_of

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
