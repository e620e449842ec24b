from __future__ import annotations

import pytest
from ftfy.badness import is_bad
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.filtering.cleanup import _SUSPECT, clean, repair
from tagarela_dagster.recipe.filtering import Cleanup
from tests.corpus.filtering.filter_prose import BUS, MARKET, PROSE, REPORT


@pytest.mark.parametrize("name", PROSE)
def test_prose_is_untouched(name: str) -> None:
    assert clean(PROSE[name], Cleanup()) == (PROSE[name], 0)


def test_lines_of_few_letters_are_removed_and_blank_lines_stay() -> None:
    text = (
        "Menu\nA carta chegou na terça-feira.\n\n* * *\nFoi o carteiro novo que a trouxe.\n- 12 -"
    )
    cleaned = "A carta chegou na terça-feira.\n\nFoi o carteiro novo que a trouxe."
    assert clean(text, Cleanup()) == (cleaned, 3)


def test_ten_letters_are_enough() -> None:
    # Digits, marks and superscripts are no letters.
    assert clean("Hoje é dia\nHoje há pães 123,²\nOntem houve pão", Cleanup()) == (
        "Hoje há pães 123,²\nOntem houve pão",
        1,
    )


def test_later_copies_of_a_line_are_removed() -> None:
    text = (
        "Todos os direitos reservados.\nO rio subiu dois metros.\n  Todos os direitos reservados."
    )
    assert clean(text, Cleanup()) == ("Todos os direitos reservados.\nO rio subiu dois metros.", 1)


def test_blank_runs_that_a_removal_brings_together_become_one() -> None:
    text = "Primeiro parágrafo aqui.\n\n12\n\n\n13\n\nSegundo parágrafo aqui.\n"
    cleaned = "Primeiro parágrafo aqui.\n\nSegundo parágrafo aqui.\n"
    assert clean(text, Cleanup()) == (cleaned, 2)
    untouched = "Primeiro parágrafo aqui.\n\n\n\nSegundo parágrafo aqui.\n"
    assert clean(untouched, Cleanup()) == (untouched, 0)


def test_a_text_of_short_lines_ends_empty() -> None:
    assert clean("Início\n\nMapa\nAjuda", Cleanup()) == ("", 3)


def test_each_part_can_be_turned_off() -> None:
    text = "Menu\nO padre celebrou a missa.\nO padre celebrou a missa.\nNÃ£o choveu nada ontem."
    assert clean(text, Cleanup(enabled=False)) == (text, 0)
    assert clean(text, Cleanup(min_letters=0, drop_duplicate_lines=False)) == (repair(text), 0)
    only_letters = Cleanup(drop_duplicate_lines=False, fix_encoding=False)
    assert clean(text, only_letters) == (text.removeprefix("Menu\n"), 1)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize("name", PROSE)
def test_mojibake_is_undone(name: str, encoding: str) -> None:
    lines = PROSE[name].replace("—", "-").split("\n")
    broken = "\n".join(line.encode().decode(encoding, "strict") for line in lines)
    assert broken != "\n".join(lines)
    assert repair(broken) == "\n".join(lines)


def test_one_line_cannot_block_the_repair_of_another() -> None:
    assert repair("Preço → 5 €\nA informaÃ§Ã£o Ã© boa") == "Preço → 5 €\nA informação é boa"


def test_capitals_ordinals_and_quotes_are_no_mojibake() -> None:
    text = "NÃO, SÃO JOÃO! 5º andar, 2ª porta. «É», disse. “Ótimo” – à vista… €50 e £3; ÓRGÃO"
    assert repair(text) == text


_LETTERS = (
    "aázÀÃÂÇçãõéíœŒ €£§©«»“”‘’•–—…ºª°´¨¸ƒ†‡‰š™®±²³¼×÷ÐØÙàâ\x80\x93\x9d\xa0\xad\n αΒβвЂГѓ√≈│═▀\ufffd"
)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.text(_LETTERS, max_size=12))
def test_whatever_ftfy_would_repair_is_looked_at(line: str) -> None:
    if is_bad(line):
        assert _SUSPECT.search(line) or line.isascii()


def test_removed_bytes_are_those_of_the_lines() -> None:
    text = "\n".join(["Menu", BUS, "Partilhar", REPORT, MARKET.split("\n")[0]])
    cleaned, removed = clean(text, Cleanup())
    assert removed == 2
    assert len(text.encode()) - len(cleaned.encode()) == len(b"Menu\n") + len(b"Partilhar\n")
