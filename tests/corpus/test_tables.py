from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.document import Rejected
from tagarela_dagster.corpus.tables import TableError, read_tables, table_schema

TEXTS = ["O comboio parte às nove.", "Choveu toda a noite.", "A padaria abre cedo."]


def read(*paths: Path) -> tuple[list[dict], list[Rejected]]:
    bad: list[Rejected] = []
    rows = [row for batch in read_tables(list(paths), bad.append) for row in batch.to_pylist()]
    return rows, bad


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_parquet_and_json_lines_are_one_table_with_the_union_of_columns(tmp_path: Path) -> None:
    lines = write_lines(
        tmp_path / "a.jsonl",
        [
            {"id": 7, "text": TEXTS[0], "year": 1999, "tags": ["transportes"]},
            {"id": "x", "text": TEXTS[1], "year": 2001.5, "tags": {"tempo": 1}},
        ],
    )
    table = pa.table({"text": pa.array(TEXTS[2:]), "origin": pa.array(["rua"])})
    pq.write_table(table, tmp_path / "b.parquet")
    rows, bad = read(lines, tmp_path / "b.parquet")
    assert bad == []
    assert rows == [
        {"id": "7", "text": TEXTS[0], "year": 1999.0, "tags": '["transportes"]', "origin": None},
        {"id": "x", "text": TEXTS[1], "year": 2001.5, "tags": '{"tempo":1}', "origin": None},
        {"id": "b.parquet:1", "text": TEXTS[2], "year": None, "tags": None, "origin": "rua"},
    ]


def test_bad_lines_are_quarantined_with_file_line_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = json.dumps({"text": TEXTS[0]}).encode()
    path.write_bytes(
        b"\n".join([good, b'{"text": "cortad', b"[1]", b'{"text": 5}', b'{"x": 1}', b"", good])
        + b"\n"
        + '{"text": "não"}'.encode("latin-1")
    )
    rows, bad = read(path)
    assert [row["id"] for row in rows] == ["a.jsonl:1", "a.jsonl:7"]
    assert sorted((r.offset, r.reason) for r in bad) == [
        ("line 2", "json"),
        ("line 3", "json"),
        ("line 4", "no_text"),
        ("line 8", "json"),
        ("record 5", "no_text"),
    ]
    assert {r.file for r in bad} == {"a.jsonl"}


def test_a_truncated_gzip_gives_its_good_lines_and_says_where_it_ends(tmp_path: Path) -> None:
    lines = [json.dumps({"id": f"d{i}", "text": f"{i} {TEXTS[i % 3]}"}) for i in range(2000)]
    packed = gzip.compress("\n".join(lines).encode())
    (tmp_path / "a.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    rows, bad = read(tmp_path / "a.jsonl.gz")
    assert 100 < len(rows) < 2000
    assert [row["id"] for row in rows] == [f"d{i}" for i in range(len(rows))]
    assert [(r.reason, r.file) for r in bad] == [("truncated", "a.jsonl.gz")]


def test_a_damaged_parquet_file_is_quarantined_and_the_next_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 isto nao e um Parquet PAR1")
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "b.parquet")
    rows, bad = read(tmp_path)
    assert [row["text"] for row in rows] == TEXTS
    assert [(r.file, r.reason, r.bytes) for r in bad] == [("a.parquet", "damaged", 31)]


def test_a_damaged_row_group_loses_only_its_own_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": TEXTS}), path, row_group_size=1, compression="zstd")
    place = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    start = place.dictionary_page_offset or place.data_page_offset
    data[start : start + 24] = b"\xff" * 24
    path.write_bytes(data)
    rows, bad = read(path)
    assert [row["text"] for row in rows] == [TEXTS[0], TEXTS[2]]
    assert [row["id"] for row in rows] == ["a.parquet:1", "a.parquet:3"]
    assert [(r.offset, r.reason) for r in bad] == [("record 2", "damaged")]


def test_a_column_with_two_kinds_of_value_is_refused_by_name(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"text": "a", "n": 1}, {"text": "b", "n": "um"}])
    with pytest.raises(TableError, match=r"a\.jsonl: the column 'n' holds integers in line 1"):
        table_schema(path)


def test_a_column_of_different_types_in_two_files_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["a"], "n": ["um"]}), tmp_path / "b.parquet")
    with pytest.raises(TableError, match=r"b\.parquet: the column 'n' is string here and int64"):
        table_schema(tmp_path)


def test_a_missing_path_and_a_strange_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="does not exist"):
        table_schema(tmp_path / "nada.jsonl")
    (tmp_path / "a.txt").write_text("olá")
    with pytest.raises(TableError, match="neither Parquet nor JSONL"):
        table_schema(tmp_path / "a.txt")
    with pytest.raises(TableError, match="holds no"):
        table_schema(tmp_path)


def test_parquet_without_text_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"texto": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(TableError, match="has no column 'text'"):
        table_schema(tmp_path)


def test_parquet_text_that_is_not_utf8_is_quarantined(tmp_path: Path) -> None:
    offsets = pa.array([0, 3, 5, 9], pa.int32()).buffers()[1]
    texts = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(b"abc\xff\xfeboas"))
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    rows, bad = read(tmp_path / "a.parquet")
    assert [row["text"] for row in rows] == ["abc", "boas"]
    assert [(r.offset, r.reason) for r in bad] == [("record 2", "encoding")]
