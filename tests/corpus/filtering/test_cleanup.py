from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from ftfy.badness import is_bad
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.filtering.cleanup import LONG_LINE, Clean, Repair, clean
from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.clean_lines import suspect_lines
from tagarela_dagster.recipe.filtering import Cleanup
from tests.corpus.filtering.filter_prose import BUS, MARKET, PROSE, REPORT

ONLY_REPAIR = Cleanup(min_letters=0, drop_duplicate_lines=False)


def repair(text: str) -> str:
    return clean(text, ONLY_REPAIR)[0]


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
    assert clean(text, ONLY_REPAIR) == (text.replace("NÃ£o", "Não"), 0)
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


@pytest.mark.parametrize("gap", ["O rio subiu dois metros. ", "água"])
def test_a_long_line_is_repaired_where_it_is_damaged(gap: str) -> None:
    damaged, whole = "nÃ£o choveu Ã\xa0 noite", "não choveu à noite"
    filler = gap * (3 * LONG_LINE // len(gap.encode()))
    line = f"{filler}{damaged} {filler}{damaged}"
    assert repair(line) == f"{filler}{whole} {filler}{whole}"
    texts = ["Olá.", f"Um\n{line}\nDois", "Fim."]
    batch = measured(texts, ONLY_REPAIR)
    assert batch.column("text").to_pylist() == [text.replace(damaged, whole) for text in texts]
    assert [row["mojibake_lines"] for row in batch.column("quality").to_pylist()] == [0, 1, 0]


def test_capitals_ordinals_and_quotes_are_no_mojibake() -> None:
    text = "NÃO, SÃO JOÃO! 5º andar, 2ª porta. «É», disse. “Ótimo” – à vista… €50 e £3; ÓRGÃO"
    assert repair(text) == text


_LETTERS = (
    "aázÀÃÂÇçãõéíœŒ €£§©«»“”‘’•–—…ºª°´¨¸ƒ†‡‰š™®±²³¼×÷ÐØÙàâ\x80\x93\x9d\xa0\xad\n αΒβвЂГѓ√≈│═▀\ufffd"
)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.text(_LETTERS, max_size=12))
def test_whatever_ftfy_would_repair_is_looked_at(line: str) -> None:
    for part in line.split("\n"):
        if is_bad(part) and not part.isascii():
            found = np.empty((1, 3), np.int64)
            buffers = text_buffers(pa.array(["Bom dia.", "\n" + part], pa.large_string()))
            assert suspect_lines(*buffers, found) == 1
            assert found[0].tolist() == [1, 9, 9 + len(part.encode())]


def test_removed_bytes_are_those_of_the_lines() -> None:
    text = "\n".join(["Menu", BUS, "Partilhar", REPORT, MARKET.split("\n")[0]])
    cleaned, removed = clean(text, Cleanup())
    assert removed == 2
    assert len(text.encode()) - len(cleaned.encode()) == len(b"Menu\n") + len(b"Partilhar\n")


def reference(text: str, min_letters: int, drop_copies: bool) -> tuple[str, int]:
    """Line clean-up as a person would write it."""
    enough = re.compile(rf"(?:[\W\d_²³¹¼½¾]*+[^\W\d_²³¹¼½¾]){{{min_letters}}}")
    seen: set[str] = set()
    kept: list[str] = []
    removed, joined = 0, False
    for line in text.split("\n"):
        key = line.strip()
        if not key:
            if not (joined and (not kept or not kept[-1].strip())):
                kept.append(line)
            continue
        joined = not enough.match(line) or (drop_copies and key in seen)
        removed += joined
        if not joined:
            seen.add(key)
            kept.append(line)
    return ("\n".join(kept), removed) if removed else (text, 0)


PARTS = [
    "",
    " ",
    "a²",
    "Menu\n",
    "Bom dia a todos.\n",
    "\n",
    "Ação!\u2003",
    "\r",
    "\x85",
    "\0",
    "e\u0301",
]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(st.lists(st.sampled_from(PARTS), max_size=12).map("".join), min_size=1, max_size=4),
    st.sampled_from([0, 1, 5, 10]),
    st.booleans(),
)
def test_lines_are_removed_as_by_the_reference(
    texts: list[str], min_letters: int, drop_copies: bool
) -> None:
    section = Cleanup(min_letters=min_letters, drop_duplicate_lines=drop_copies, fix_encoding=False)
    work = measured(texts, section)
    expected = [reference(text, min_letters, drop_copies) for text in texts]
    quality = work.column("quality").to_pylist()
    found = [(row["lines_removed"], row["mojibake_lines"]) for row in quality]
    assert work.column("text").to_pylist() == [text for text, _ in expected]
    assert found == [(removed, 0) for _, removed in expected]


def test_the_step_counts_repaired_lines_and_books_bytes() -> None:
    texts = ["A informaÃ§Ã£o Ã© boa.\nO preÃ§o nÃ£o Ã© mau.\nMenu", BUS]
    batch = measured(texts, Cleanup())
    assert batch.column("text").to_pylist() == ["A informação é boa.\nO preço não é mau.", BUS]
    signals = batch.column("quality").to_pylist()
    assert [row["mojibake_lines"] for row in signals] == [2, 0]
    assert [row["lines_removed"] for row in signals] == [1, 0]
    removed = batch.column("removed").to_pylist()
    # Six letters were two bytes too long.
    assert [(row["encoding"], row["cleanup"]) for row in removed] == [(6 * 2, 5), (0, 0)]


def measured(texts: list[str], section: Cleanup) -> pa.RecordBatch:
    rows = [Document(str(i), text).row("test", "1") for i, text in enumerate(texts)]
    work = Work(pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA))
    Repair(section)(work)
    Clean(section)(work)
    return work.measured()
