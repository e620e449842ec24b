from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.portuguese.characters import Characters, composed, rejoined
from tagarela_dagster.recipe.portuguese import Unicode
from tests.corpus.portuguese.measuring import Measured


def measured(*texts: str, section: Unicode | None = None) -> Measured:
    return Measured([Characters(section or Unicode())], *texts, source="livros")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cora\u00e7\u00e3o", "cora\u00e7\u00e3o"),
        ("corac\u0327a\u0303o", "cora\u00e7\u00e3o"),
        ("co\u00admum \ufeffa\u200b", "comum a"),
        ("\u202eabc\u202c", "abc"),
        ("👩\u200d👧 e a\u200db", "👩\u200d👧 e ab"),
        ("e\u200d\u0301", "\u00e9"),
    ],
)
def test_invisible_characters_go_and_accents_are_composed(text: str, expected: str) -> None:
    made = measured(text, "outro")
    assert made.texts == [expected, "outro"]
    made.assert_balanced()


def test_what_the_recipe_turns_off_stays() -> None:
    text = "cafe\u0301 co\u00admum \u202ea"
    section = Unicode(compose=False, remove_invisible=False, remove_directions=False)
    assert measured(text, section=section).texts == [text]
    assert measured(text, section=Unicode(enabled=False)).texts == [text]


ACCENTS = "\u0301\u0303\u0323\u0327\u0344\u0f71\u0f73\u20dd\u0903\u3099\U0001d165"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text("aéç \u1e69\u1112\u1161", max_size=2), st.text(ACCENTS))))
def test_towers_of_accents_are_composed_as_by_the_standard(pieces: list[tuple[str, str]]) -> None:
    text = "".join(base + accents * 9 for base, accents in pieces)
    assert composed(text) == unicodedata.normalize("NFC", text)


def test_a_megabyte_of_accents_in_turn_takes_no_minutes() -> None:
    start = time.process_time()
    composed("a" + "\u0323\u0301" * 250_000)
    assert time.process_time() - start < 10


def test_damage_is_counted_before_it_is_repaired() -> None:
    (signals, nothing) = measured("nÃ£o \ufffd\x01\x02 p0vo desen-\nvolver", "").signals
    # n, o, p0vo, desen, volver: one damaged, one cut.
    assert signals["replacement_chars"] == pytest.approx(1000 / 27)
    assert signals["control_chars"] == pytest.approx(2000 / 27)
    assert signals["mojibake_left"] == pytest.approx(1000 / 27)
    assert signals["ocr_ratio"] == pytest.approx(2 / 5)
    assert nothing["ocr_ratio"] is nothing["control_chars"] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("o desen-\nvolvimento do país", "o desenvolvimento do país"),
        ("disse-\nlhe que não", "disse-lhe que não"),
        ("de-\nsen-\nvolver", "desenvolver"),
        ("Porto-\nLisboa e 10-\n20", "Porto-\nLisboa e 10-\n20"),
    ],
)
def test_words_cut_at_a_line_end_are_made_whole(text: str, expected: str) -> None:
    assert rejoined(text) == expected
    section = Unicode(rejoin_hyphenated=["livros"])
    made = measured(text, section=section)
    assert made.texts == [expected]
    assert made.removed[0]["dehyphenated"] == len(text.encode()) - len(expected.encode())
    assert measured(text).texts == [text]
