"""CSV, TSV, Parquet and XML records: files with a record a row."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.sources.formats import delimited
from tests.corpus.sources.reading import Outcome, read_folder


def read(folder: Path, options: dict[str, Any] | None = None, **mapping: Any) -> Outcome:
    return read_folder("files", folder, mapping=mapping, options=options or {})


def places(outcome: Outcome) -> list[tuple[str, str, bool]]:
    return [(r.offset.split(",")[0], r.reason, r.quarantined) for r in outcome.rejected]


CSV = (
    "\ufeffid,texto,ano\r\n"
    '1,"Disse: ""não"",\r\ne saiu.",1987\r\n'
    "2,Curto,1988\r\n"
    "\r\n"
    "3,Falta\r\n"
    "4,Sobra,1989,mais\r\n"
    "5,,1990\r\n"
)


def test_csv_fields_may_hold_quotes_and_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    outcome = read(tmp_path, text="texto", id="id", date="ano", meta=["ano"])
    assert outcome.texts == {"1": 'Disse: "não",\ne saiu.', "2": "Curto", "3": "Falta"}
    assert [d.date.year if d.date else None for d in outcome.documents] == [1987, 1988, None]
    assert places(outcome) == [("line 7", "bad_row", True), ("line 8", "no_text", False)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_the_one_of_the_header(tmp_path: Path, separator: str) -> None:
    rows = [["n", "text"], ["1", '"Sim, claro; já."']]
    (tmp_path / "a.csv").write_text("\n".join(separator.join(r) for r in rows), encoding="utf-8")
    assert read(tmp_path).texts == {"a.csv:1": "Sim, claro; já."}


def test_tsv_knows_no_quotes_unless_told(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('pt\t"que o acesso"; é\npt\tOutra.\n', encoding="utf-8")
    header = {"header": ["lang", "text"], "where": {"lang": "pt"}}
    assert list(read(tmp_path, **header).texts.values()) == ['"que o acesso"; é', "Outra."]
    (tmp_path / "a.tsv").write_text('pt\t"Com\ttabulador."\n', encoding="utf-8")
    quoted = read(tmp_path, {"quoted": True}, **header)
    assert list(quoted.texts.values()) == ["Com tabulador."]


def test_windows_1252_rows_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text;n\nPão e maçã;1\nAçúcar;2\n".encode("cp1252"))
    assert list(read(tmp_path).texts.values()) == ["Pão e maçã", "Açúcar"]


def test_a_missing_column_is_told_with_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,corpo\n1,Texto.\n2,Outro.\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("", encoding="utf-8")
    outcome = read(tmp_path)
    assert outcome.documents == []
    assert [(r.file, r.reason, r.quarantined) for r in outcome.rejected] == [
        ("a.csv", "no_field", True),
        ("b.csv", "no_text", False),
    ]
    assert "no column 'text'; there are: id, corpo" in outcome.rejected[0].detail


def test_rows_before_a_damage_are_kept_and_the_cut_one_is_not(tmp_path: Path) -> None:
    rows = "n,text\n" + "".join(f'{n},"Linha {n},\nem duas."\n' for n in range(2000))
    data = gzip.compress(rows.encode())
    (tmp_path / "a.csv.gz").write_bytes(data[: len(data) // 2])
    outcome = read(tmp_path)
    kept = len(outcome.documents)
    assert 100 < kept < 2000
    assert all(d.text == f"Linha {n},\nem duas." for n, d in enumerate(outcome.documents))
    assert {r.reason for r in outcome.rejected} <= {"truncated", "bad_csv"}
    assert outcome.rejected[0].reason == "truncated"


def test_a_quote_that_never_closes_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "MAX_FIELD", 15_000)
    text = 'n,text\n1,Um.\n2,"Aberto\n' + "cheio de texto\n" * 1000 + "3,Fim.\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    outcome = read(tmp_path)
    assert list(outcome.texts.values()) == ["Um.", "Fim."]
    assert places(outcome) == [("line 3", "bad_csv", True)]
    assert outcome.rejected[0].bytes == 15_010


def parquet(path: Path, rows: list[dict[str, Any]], rows_a_group: int = 2) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=rows_a_group)


ROWS = [
    {"texto": "Um.", "meta": {"url": "http://exemplo.pt/1"}, "score": 0.5, "extra": "x" * 50},
    {"texto": None, "meta": {"url": None}, "score": 0.1, "extra": ""},
    {"texto": "Três.", "meta": {"url": "http://exemplo.pt/3"}, "score": None, "extra": ""},
]


def test_parquet_rows_are_documents(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", ROWS)
    outcome = read(tmp_path, text="texto", url="meta.url", meta=["score"])
    assert outcome.texts == {"a.parquet:1": "Um.", "a.parquet:3": "Três."}
    assert [d.url for d in outcome.documents] == ["http://exemplo.pt/1", "http://exemplo.pt/3"]
    assert [d.meta for d in outcome.documents] == [{"score": 0.5}, {}]
    assert places(outcome) == [("row 2", "no_text", False)]


def test_parquet_is_read_inside_archives_too(tmp_path: Path) -> None:
    parquet(tmp_path / "x.parquet", ROWS)
    data = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").unlink()
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("pt/x.parquet")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    assert list(read(tmp_path, text="texto").texts) == [
        "a.tar.gz!pt/x.parquet:1",
        "a.tar.gz!pt/x.parquet:3",
    ]


def test_parquet_rows_that_python_cannot_hold_are_rejected_alone(tmp_path: Path) -> None:
    offsets, data = b"\0\0\0\0\3\0\0\0\7\0\0\0\x09\0\0\0", b"ol\xe1Sim.Ah"
    texts = pa.Array.from_buffers(pa.string(), 3, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    dates = pa.array([0, 0, 2**31 - 1], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"text": texts, "dia": dates}), tmp_path / "a.parquet")
    outcome = read(tmp_path, date="dia")
    assert outcome.texts == {"a.parquet:2": "Sim."}
    assert places(outcome) == [("row 1", "encoding", True), ("row 3", "bad_value", True)]


def test_damaged_parquet_costs_the_row_group_or_the_file(tmp_path: Path) -> None:
    rows = [{"text": f"Linha número {n}, com algum texto."} for n in range(6)]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2, compression="gzip")
    meta = pq.ParquetFile(tmp_path / "a.parquet").metadata
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    start = meta.row_group(1).column(0).dictionary_page_offset
    data[start + 20 : start + 60] = b"\xff" * 40
    (tmp_path / "a.parquet").write_bytes(bytes(data))
    (tmp_path / "b.parquet").write_bytes(bytes(data[:200]))
    pq.write_table(table.rename_columns(["corpo"]), tmp_path / "c.parquet")
    outcome = read(tmp_path)
    assert list(outcome.texts) == [f"a.parquet:{n}" for n in (1, 2, 5, 6)]
    assert [(r.file, r.reason) for r in outcome.rejected] == [
        ("a.parquet", "corrupt"),
        ("b.parquet", "corrupt"),
        ("c.parquet", "no_field"),
    ]
    assert outcome.rejected[0].offset == "row 3"
    assert outcome.rejected[0].detail.startswith("2 rows are lost")


XML = """<?xml version="1.0"?>
<provas xmlns="http://exemplo.pt/ns">
 <prova><nome>Terceirização</nome>
  <redacao nota="5,0"><titulo>Um</titulo><texto>
  A terceirização <b>avança</b>.
  </texto><autor><nome>Ana</nome></autor><tema>a</tema><tema>b</tema></redacao>
  <redacao nota="3,0"><titulo>Dois</titulo><texto>Já não &amp; nunca.</texto></redacao>
  <redacao nota="1,0"><titulo>Três</titulo><texto/></redacao>
 </prova>
</provas>
"""


def test_xml_records_stream_by_their_element(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(XML.replace("<b>avança</b>", "avança"), encoding="utf-8")
    outcome = read(
        tmp_path,
        record="redacao",
        text="texto",
        title="titulo",
        meta=["@nota", "autor.nome", "tema"],
    )
    assert outcome.texts == {
        "a.xml:1": "A terceirização avança.",
        "a.xml:2": "Já não & nunca.",
    }
    assert outcome.documents[0].title == "Um"
    assert outcome.documents[0].meta == {"@nota": "5,0", "autor.nome": "Ana", "tema": ["a", "b"]}
    assert places(outcome) == [("record 3", "no_text", False)]


def test_marks_inside_a_field_leave_their_words(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(XML, encoding="utf-8")
    outcome = read(tmp_path, record="redacao", text="texto")
    assert outcome.texts["a.xml:1"] == "A terceirização avança."


def test_xml_that_breaks_keeps_the_records_before(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(XML.partition("<titulo>Dois")[0], encoding="utf-8")
    (tmp_path / "b.xml").write_text("<outra><coisa/></outra>", encoding="utf-8")
    outcome = read(tmp_path, record="redacao", text="texto")
    assert list(outcome.texts) == ["a.xml:1"]
    assert [(r.file, r.reason) for r in outcome.rejected] == [
        ("a.xml", "bad_xml"),
        ("b.xml", "no_record"),
    ]


def test_xml_entities_are_not_expanded(tmp_path: Path) -> None:
    secret = tmp_path / "segredo"
    secret.write_text("SEGREDO")
    levels = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE r [<!ENTITY a0 "ha">{levels}<!ENTITY s SYSTEM "{secret.as_uri()}">]>'
    record = "<d><t>Antes &a9;&s; depois.</t></d>"
    (tmp_path / "a.xml").write_text(f"{doctype}<r>{record}</r>")
    outcome = read_folder("files", tmp_path, mapping={"record": "d", "text": "t"})
    texts = [d.text for d in outcome.documents]
    assert all("ha" not in text and "SEGREDO" not in text for text in texts)
    assert len(texts) + sum(r.file == "a.xml" for r in outcome.rejected) == 1


def test_many_xml_records_do_not_pile_up(tmp_path: Path) -> None:
    record = "<d><t>" + "Muito texto. " * 200 + "</t></d>"
    (tmp_path / "a.xml").write_text(f"<r>{record * 5000}</r>", encoding="utf-8")
    outcome = read(tmp_path, record="d", text="t")
    assert len(outcome.documents) == 5000
    (tmp_path / "a.xml").write_text(f"<r>{record}<d><t>{record * 500}</t></d></r>")
    bounded = read(tmp_path, {"max_file_bytes": 500_000}, record="d", text="t")
    assert list(bounded.texts) == ["a.xml:1"]
    assert [r.reason for r in bounded.rejected] == ["too_large"]
