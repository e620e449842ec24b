from __future__ import annotations

import pyarrow as pa
import pytest

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.filtering.decide import COLUMNS, Decide
from tagarela_dagster.corpus.filtering.measure import Measure
from tagarela_dagster.recipe.corpus import Corpus
from tests.corpus.filtering.filter_prose import MARKET, REPORT
from tests.corpus.filtering.test_language import GALICIAN

PLAY = """TITO — Eu creio que não há.
EMÍLIA — Pois é o mais que posso fazer...
MARGARIDA — Dão-me licença por alguns minutos... Volto já.
EMÍLIA — Não te demores!
MARGARIDA — Ficas?
EMÍLIA — Fico. Creio que não há receio...
TITO — Ora, receio... (Margarida entra em casa, o criado sai pelo fundo)
EMÍLIA — Há muito tempo que se dá com o marido de Margarida?
TITO — Desde criança.
EMÍLIA — Ah! foi criança?...
TITO — Ainda hoje sou.
EMÍLIA (voltando ao sério) — É exatamente o tempo das minhas relações com ela."""
"""Machado de Assis, As Forcas Caudinas: 71% of spaCy's words have a letter."""

OVERRIDES = {"machado": {"quality": {"min_alpha_words": 0.7, "max_ellipsis_lines": 0.4}}}


def measured(*documents: tuple[str, str]) -> pa.RecordBatch:
    rows = [
        Document(str(number), text, license="CC0-1.0").row(source, "2024")
        for number, (source, text) in enumerate(documents)
    ]
    return Measure(Corpus())(pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)).select(COLUMNS)


def reasons(batch: pa.RecordBatch, **corpus: object) -> list[str | None]:
    found: list[str | None] = Decide(Corpus.model_validate(corpus))(batch).to_pylist()
    return found


def test_an_override_decides_on_its_source_alone_whatever_else_stands_in_the_batch() -> None:
    batch = measured(("teatro", PLAY), ("machado", PLAY), ("machado", MARKET), ("teatro", REPORT))
    alpha = "gopher_below_alpha_threshold"
    assert reasons(batch) == [alpha, alpha, None, None]
    assert reasons(batch, overrides=OVERRIDES) == [alpha, None, None, None]
    assert reasons(batch.slice(1, 2), overrides=OVERRIDES) == [None, None]
    assert reasons(batch.slice(0, 0), overrides=OVERRIDES) == []


def test_an_override_may_be_stricter_and_what_it_does_not_name_stays() -> None:
    batch = measured(("jornal", MARKET), ("diario", MARKET), ("diario", PLAY))
    stricter = {"diario": {"quality": {"min_words": 200}}}
    assert reasons(batch, overrides=stricter) == [None, "gopher_short_doc", "gopher_short_doc"]
    looser = {"diario": {"quality": {"min_words": 10}}}
    assert reasons(batch, overrides=looser)[2] == "gopher_below_alpha_threshold"


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ({}, "language"),
        ({"language": {"enabled": False}}, None),
        ({"language": {"keep": ["pt", "gl"], "min_score": 0.5}}, None),
    ],
)
def test_languages_may_be_judged_by_source(override: dict[str, object], reason: str | None) -> None:
    batch = measured(("praza", GALICIAN), ("jornal", GALICIAN))
    given = {**override, "quality": {"enabled": False}}
    assert reasons(batch, overrides={"praza": given}) == [reason, "language"]


def test_rules_that_are_off_may_be_on_for_one_source() -> None:
    batch = measured(("web", MARKET + "\nSubscreva a nossa newsletter"), ("livros", MARKET))
    for override, reason in (
        ({"c4": {"enabled": True, "min_sentences": 99}}, "too_few_sentences"),
        ({"madlad": {"enabled": True, "min_sentences": 99}}, "madlad_too_short"),
        ({"portuguese": {"limits": {"boilerplate_ratio": 0.01}}}, "boilerplate_ratio"),
    ):
        assert reasons(batch, overrides={"web": override}) == [reason, None]


def test_single_n_grams_may_differ() -> None:
    law = " ".join(
        f"{n} - O disposto no número anterior não prejudica a competência da comissão de {place}."
        for n, place in enumerate(["Braga", "Faro", "Évora", "Viseu", "Beja", "Leiria"], 1)
    )
    batch = measured(("leis", law), ("jornal", law))
    off = dict.fromkeys((6, 7, 8, 9, 10), 0)
    base = {"quality": {"enabled": False}, "repetition": {"top_n_grams": {2: 0, 3: 0, 4: 0}}}
    both = ["duplicated_5_n_grams"] * 2
    assert reasons(batch, **base) == both
    five = {"leis": {"repetition": {"dup_n_grams": {5: 0.99}}}}
    # The other n-grams are as they were.
    assert reasons(batch, **base, overrides=five) == ["duplicated_6_n_grams", both[0]]
    all_off = {"leis": {"repetition": {"dup_n_grams": {5: 0, **off}}}}
    assert reasons(batch, **base, overrides=all_off) == [None, both[0]]
