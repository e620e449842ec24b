"""The recipe's mapping, on records as JSONL has them."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.corpus.sources.dates import parse_date
from tests.corpus.sources.reading import Outcome, read_folder


def read(folder: Path, *records: Any, **mapping: Any) -> Outcome:
    lines = (
        r if isinstance(r, bytes) else json.dumps(r, ensure_ascii=False).encode() for r in records
    )
    (folder / "a.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return read_folder("files", folder, mapping=mapping)


def test_fields_become_columns(tmp_path: Path) -> None:
    record = {
        "id": 7,
        "texto": "Choveu em Lisboa.\r\n",
        "titulo": " Tempo \n de hoje ",
        "meta": {"url": "http://exemplo.pt/7", "quando": "5 de novembro de 1987"},
        "variante": "pt_BR",
        "licenca": "CC-BY-4.0",
        "autor": "",
        "notas": [1, {"a": 2.5}],
    }
    (document,) = read(
        tmp_path,
        record,
        text="texto",
        id="id",
        title="titulo",
        url="meta.url",
        date="meta.quando",
        variety="variante",
        license="licenca",
        meta=["autor", "notas", "nenhum"],
    ).documents
    assert document.native_id == "7"
    assert document.text == "Choveu em Lisboa."
    assert document.title == "Tempo de hoje"
    assert document.url == "http://exemplo.pt/7"
    assert document.date == date(1987, 11, 5)
    assert (document.variety, document.license) == ("pt-BR", "CC-BY-4.0")
    assert document.meta == {"notas": [1, {"a": 2.5}]}


def test_without_an_identifier_the_line_is_one(tmp_path: Path) -> None:
    outcome = read(tmp_path, {"text": "Um."}, b"", {"text": "Dois."})
    assert outcome.texts == {"a.jsonl:1": "Um.", "a.jsonl:3": "Dois."}


def test_several_texts_and_identifiers_are_joined(tmp_path: Path) -> None:
    outcome = read(
        tmp_path,
        {"p": "Quem foi?", "r": "Ninguém.", "doc": "a", "n": 1},
        {"p": "E agora?", "r": None, "doc": "a", "n": 2},
        {"p": ["Uma lista", "de linhas."], "r": "", "doc": "b", "n": 1},
        text=["p", "r"],
        id=["doc", "n"],
    )
    assert outcome.texts == {
        "a/1": "Quem foi?\n\nNinguém.",
        "a/2": "E agora?",
        "b/1": "Uma lista\nde linhas.",
    }


def test_records_are_selected_by_their_fields(tmp_path: Path) -> None:
    outcome = read(
        tmp_path,
        {"text": "Um.", "lang": "pt", "ok": True},
        {"text": "Two.", "lang": "en", "ok": True},
        {"text": "Três.", "lang": "pt", "ok": False},
        {"text": "Quatro."},
        where={"lang": "pt", "ok": "true"},
    )
    assert list(outcome.texts.values()) == ["Um."]
    assert list(outcome.reasons.values()) == ["-not_selected"] * 3


def test_consecutive_records_are_grouped(tmp_path: Path) -> None:
    outcome = read(
        tmp_path,
        {"doc": "a", "text": "Um."},
        {"doc": "a", "text": "Dois."},
        {"doc": "a", "text": " "},
        {"doc": "b", "text": "Três."},
        {"doc": "a", "text": "Quatro."},
        group_by="doc",
        meta=["doc"],
    )
    assert outcome.texts == {
        "a.jsonl:1": "Um.\nDois.",
        "a.jsonl:4": "Três.",
        "a.jsonl:5": "Quatro.",
    }
    assert [d.meta for d in outcome.documents] == [
        {"doc": "a", "records": 2},
        {"doc": "b", "records": 1},
        {"doc": "a", "records": 1},
    ]
    assert list(outcome.reasons.values()) == ["-no_text"]


def test_groups_may_have_several_fields(tmp_path: Path) -> None:
    rows = [{"n": n, "v": v, "text": f"{n}{v}."} for n in (1, 2) for v in "aab"]
    outcome = read(tmp_path, *rows, group_by=["n", "v"])
    assert list(outcome.texts.values()) == ["1a.\n1a.", "1b.", "2a.\n2a.", "2b."]


def test_bad_records_are_told_apart_and_the_others_go_on(tmp_path: Path) -> None:
    outcome = read(
        tmp_path,
        {"id": "1", "text": "Fica."},
        b'{"id": "2", "text": ',
        b"[1, 2]",
        {"id": "3", "text": None},
        {"id": "4", "text": ""},
        {"id": "5", "corpo": "Sem campo."},
        {"id": "6", "text": 12},
        {"text": "Sem id."},
        b'{"id": "8", "text": "\x81\x8d\x8f\x90\x9d\x81\x8d\x8f"}',
        {"id": "9", "text": "Fica também."},
        id="id",
    )
    assert outcome.texts == {"1": "Fica.", "9": "Fica também."}
    assert [(r.offset.split(",")[0], r.reason, r.quarantined) for r in outcome.rejected] == [
        ("line 2", "bad_json", True),
        ("line 3", "bad_json", True),
        ("line 4", "no_text", False),
        ("line 5", "no_text", False),
        ("line 6", "no_text", True),
        ("line 7", "no_text", True),
        ("line 8", "no_id", True),
        ("line 9", "encoding", True),
    ]
    assert outcome.rejected[4].detail == "no field text; there are: id, corpo"
    assert all(r.bytes > 0 for r in outcome.rejected)


def test_a_line_in_another_encoding_is_read_all_the_same(tmp_path: Path) -> None:
    outcome = read(tmp_path, {"text": "Maçã."}, '{"text": "Pêssego e limão."}'.encode("cp1252"))
    assert list(outcome.texts.values()) == ["Maçã.", "Pêssego e limão."]


def test_a_line_that_is_too_long_costs_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "Um."}\n{"text": "' + "a" * 2000 + '"}\n{"text": "Dois."}\n', encoding="utf-8"
    )
    outcome = read_folder("files", tmp_path, options={"max_line_bytes": 1000})
    assert list(outcome.texts) == ["a.jsonl:1", "a.jsonl:3"]
    assert outcome.reasons == {"a.jsonl line 2, byte 16": "too_large"}


def test_utf_16_lines_are_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes('{"text": "Um."}\n'.encode("utf-16"))
    (rejected,) = read_folder("files", tmp_path).rejected
    assert rejected.reason == "encoding"
    assert "save it as UTF-8" in rejected.detail


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("1987-11-05", date(1987, 11, 5)),
        ("1987-11-05T10:20:30Z", date(1987, 11, 5)),
        ("1987-11-05 10:20", date(1987, 11, 5)),
        ("1987/11", date(1987, 11, 1)),
        ("19871105", date(1987, 11, 5)),
        ("19871105102030", date(1987, 11, 5)),
        ("05/11/1987", date(1987, 11, 5)),
        ("5.11.1987", date(1987, 11, 5)),
        ("5 de novembro de 1987", date(1987, 11, 5)),
        ("1.º de março de 1987", date(1987, 3, 1)),
        ("5 nov. 1987", date(1987, 11, 5)),
        ("1987", date(1987, 1, 1)),
        (1987, date(1987, 1, 1)),
        (datetime(1987, 11, 5, 3), date(1987, 11, 5)),
        ("31/02/1987", None),
        ("5 de brumário de 1987", None),
        ("ano_147", None),
        ("1868-1870", None),
        ("", None),
        (None, None),
        (True, None),
    ],
)
def test_dates_are_read_as_people_write_them(value: Any, day: date | None) -> None:
    assert parse_date(value) == day
