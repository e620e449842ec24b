"""The byte scan in front of the patterns: the same results as patterns on whole texts."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.filtering.pii import PLACEHOLDERS, Protect, protect, replaced
from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.recipe.filtering import Pii
from tests.corpus.rows import batch

ALL = frozenset(PLACEHOLDERS)
DEFAULT = frozenset(Pii().kinds)

PIECES = (
    "rui@sapo.pt 529.982.247-25 52998224725 12.ABC.345/01DE-35 11222333000181 11.222.333/0001-81"
    " 501964843 PT501964843 912345678 +351 912 345 678 (11) 91234-5678 +55 21 3234 5678 01310-100"
    " 70.610-630 PT50000201231234567890154 PT50 0002 0123 1234 5678 9015 4 4111 1111 1111 1111"
    " 378282246310005 193.136.128.10 8.8.8.8 2606:4700:4700::1111 1.2.3.4 1987-1988 21/04/1960"
    " CPF NIF CNPJ CEP tel. Tel.: IP: telemóvel contribuinte n.º nº @ : . - / ( ) +"
    " é 日本 😀 a\u0301"
).split(" ")


def protected(texts: list[str], kinds: frozenset[str]) -> list[str]:
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    made, _ = protect(data, offsets, kinds)
    return texts if made is None else made.to_pylist()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from([*PIECES, " ", " ", "\n", "palavra " * 12, "é" * 90])
            | st.text(max_size=5),
            max_size=30,
        ).map("".join),
        max_size=4,
    ),
    st.sampled_from([ALL, DEFAULT, frozenset(["ip"]), frozenset(["cnpj"]), frozenset(["email"])]),
)
def test_stretches_give_what_whole_texts_give(texts: list[str], kinds: frozenset[str]) -> None:
    made = protected(texts, kinds)
    assert made == [replaced(text, kinds)[0] for text in texts]
    assert protected(made, kinds) == made


@pytest.mark.parametrize("before", ["", "x" * 79, "é" * 81, "😀" * 200, "1 2 3 4 " * 30])
def test_a_keyword_is_seen_across_any_letters(before: str) -> None:
    text = f"{before} CPF do titular, 52998224725 {before}"
    assert protected(["", text], ALL) == ["", f"{before} CPF do titular, [CPF] {before}"]


def test_the_step_replaces_counts_and_books_bytes() -> None:
    texts = ("Rui, rui@sapo.pt, CPF 529.982.247-25.", "Nada.", "Tel. 213 456 789")
    work = Work(batch(texts))
    Protect(Pii())(work)
    measured = work.measured()
    assert measured.column("text").to_pylist() == [
        "Rui, [e-mail], CPF [CPF].",
        "Nada.",
        "Tel. [telefone]",
    ]
    assert [row["pii_found"] for row in measured.column("quality").to_pylist()] == [2, 0, 1]
    assert [row["pii"] for row in measured.column("removed").to_pylist()] == [12, 0, 1]


def test_what_an_overlapping_find_hid_is_found_too() -> None:
    text = "rui@sapo.pt/193.136.128.10"
    assert replaced(replaced(text, ALL)[0], ALL) == (replaced(text, ALL)[0], [])


def test_hostile_texts_take_linear_time() -> None:
    texts = ["@a" * 300_000, "1 " * 300_000, "A" * 600_000, "2001:" * 100_000, "AB12" * 150_000]
    # Each would take minutes if a stretch were looked at once for every candidate in it.
    assert protected(texts, ALL) == texts
