"""Parliamentary speeches as CSV."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest

from tests.corpus.sources.reading import read_folder

ANC = (
    "nome,discurso,ano\n"
    '"O SR. PRESIDENTE (Jorge Arbage","O SR. PRESIDENTE: – Está aberta a sessão. ",ano_147\n'
    '"O SR. MÁRIO MAIA","Passa-se à ""ordem do dia"".",1988\n'
    '"A SR.ª IRMA PASSONI"," ",1988\n'
)


def test_the_columns_of_an_archive_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "anc.csv.gz").write_bytes(gzip.compress(ANC.encode()))
    outcome = read_folder("speeches", tmp_path)
    assert outcome.texts == {
        "anc.csv.gz:1": "O SR. PRESIDENTE: – Está aberta a sessão.",
        "anc.csv.gz:2": 'Passa-se à "ordem do dia".',
    }
    assert [d.date for d in outcome.documents] == [None, date(1988, 1, 1)]
    assert [d.meta for d in outcome.documents] == [
        {"speaker": "O SR. PRESIDENTE (Jorge Arbage", "ano": "ano_147"},
        {"speaker": "O SR. MÁRIO MAIA"},
    ]
    assert list(outcome.reasons.values()) == ["-no_text"]


@pytest.mark.parametrize(
    "header",
    [
        "Codigo;Orador;Partido;UF;Data;Discurso",
        "id;speaker;party;state;date;speech",
        "código;deputado;siglaPartido;siglaUf;dataHoraInicio;transcricao",
    ],
)
def test_common_names_of_columns_are_known(tmp_path: Path, header: str) -> None:
    row = "7;Ana Sousa;PX;SP;2024-05-14T15:20;Senhor Presidente, agradeço."
    (tmp_path / "d.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    (document,) = read_folder("speeches", tmp_path).documents
    assert document.native_id == "7"
    assert document.text == "Senhor Presidente, agradeço."
    assert document.date == date(2024, 5, 14)
    assert document.meta == {"speaker": "Ana Sousa", "party": "PX", "state": "SP"}


def test_the_recipes_mapping_goes_first(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("discurso,quem,corpo\nresumo,Ana,Texto.\n", encoding="utf-8")
    mapping = {"text": "corpo", "title": "quem"}
    (document,) = read_folder("speeches", tmp_path, mapping=mapping).documents
    assert (document.text, document.title, document.meta) == ("Texto.", "Ana", {})


def test_a_header_in_the_recipe_stands_for_the_missing_one(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("Ana,Texto.\n", encoding="utf-8")
    mapping = {"header": ["nome", "discurso"]}
    (document,) = read_folder("speeches", tmp_path, mapping=mapping).documents
    assert (document.text, document.meta) == ("Texto.", {"speaker": "Ana"})


def test_unknown_columns_and_bad_rows_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("quem,corpo\nAna,Texto.\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("nome,discurso\nAna,Um.\nEva,Dois.,x\n", encoding="utf-8")
    (tmp_path / "c.csv").write_bytes(gzip.compress(ANC.encode() * 200)[:-40])
    outcome = read_folder("speeches", tmp_path)
    assert [d.text for d in outcome.documents][:1] == ["Um."]
    found = [(r.file, r.reason) for r in outcome.rejected if r.quarantined]
    assert found == [("a.csv", "no_field"), ("b.csv", "bad_row"), ("c.csv", "truncated")]
    assert "mapping.text" in outcome.rejected[0].detail
