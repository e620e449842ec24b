from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.dedup.command import dedup_files
from tagarela_dagster.corpus.filtering.results import OutputError
from tagarela_dagster.corpus.tables import TableError
from tagarela_dagster.recipe.dedup import Dedup
from tests.corpus.dedup.texts import LIGHTHOUSE, MARKET, MARKET_SHOUTED, RIVER, RIVER_LATER, SHORT


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    first = write_lines(
        tmp_path / "a.jsonl",
        [
            {"id": "rio", "text": RIVER, "ano": 1998},
            {"id": "feira", "text": MARKET_SHOUTED, "ano": 2004},
            {"id": "rio", "text": LIGHTHOUSE, "ano": 2010},
        ],
    )
    table = {
        "text": [MARKET, RIVER_LATER, None, RIVER_LATER, SHORT, "", ""],
        "id": ["feira2", "rio2", "vazio", "rio#2", "fim", "nada", None],
        "origem": ["pt"] * 7,
    }
    pq.write_table(pa.table(table), tmp_path / "b.parquet")
    return [first, tmp_path / "b.parquet"]


def rows(path: Path) -> list[dict]:
    return pq.read_table(path).to_pylist()


def test_the_earlier_input_survives_and_every_column_stays(
    inputs: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    counted: list[int] = []
    summary = dedup_files(inputs, out, Dedup(), counted.append)
    assert rows(out / "kept.parquet") == [
        {"id": "rio", "text": RIVER, "ano": 1998, "origem": None},
        {"id": "feira", "text": MARKET_SHOUTED, "ano": 2004, "origem": None},
        {"id": "rio#3", "text": LIGHTHOUSE, "ano": 2010, "origem": None},
        {"id": "fim", "text": SHORT, "ano": None, "origem": "pt"},
        {"id": "nada", "text": "", "ano": None, "origem": "pt"},
    ]
    assert [(r["id"], r["reason"], r["origem"]) for r in rows(out / "dropped.parquet")] == [
        ("feira2", "near_duplicate", "pt"),
        ("rio2", "near_duplicate", "pt"),
        ("rio#2", "exact_duplicate", "pt"),
        ("b.parquet:7", "exact_duplicate", "pt"),
    ]
    size = sum(len(t.encode()) for t in (RIVER, MARKET_SHOUTED, LIGHTHOUSE, SHORT))
    lost = sum(len(t.encode()) for t in (MARKET, RIVER_LATER, RIVER_LATER))
    assert summary == {
        "documents_in": 9,
        "documents_kept": 5,
        "dropped": {"exact_duplicate": 2, "near_duplicate": 2},
        "bytes_in": size + lost,
        "bytes_kept": size,
        "bytes_dropped": lost,
        "clusters": 3,
        "largest_cluster": 3,
        "ids_renamed": 1,
        "quarantined": 1,
    }
    assert json.loads((out / "summary.json").read_text()) == summary
    assert sum(counted) == 9


def test_clusters_name_their_survivor(inputs: list[Path], tmp_path: Path) -> None:
    dedup_files(inputs, tmp_path / "out", Dedup())
    found = rows(tmp_path / "out" / "clusters.parquet")
    assert [(r["cluster"], r["id"], r["kept"], r["size"], r["kind"]) for r in found] == [
        ("rio", "rio", True, 3, None),
        ("feira", "feira", True, 2, None),
        ("feira", "feira2", False, 2, "near"),
        ("rio", "rio2", False, 3, "near"),
        ("rio", "rio#2", False, 3, "exact"),
        ("nada", "nada", True, 2, None),
        ("nada", "b.parquet:7", False, 2, "exact"),
    ]


def test_a_record_without_text_is_quarantined_once(inputs: list[Path], tmp_path: Path) -> None:
    dedup_files(inputs, tmp_path / "out", Dedup())
    (line,) = (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["file"], record["offset"], record["reason"]) == (
        "b.parquet",
        "record 3",
        "no_text",
    )


def test_the_same_inputs_give_the_same_bytes(inputs: list[Path], tmp_path: Path) -> None:
    names = ("kept.parquet", "dropped.parquet", "clusters.parquet", "summary.json")
    for out in ("one", "two"):
        dedup_files(inputs, tmp_path / out, Dedup())
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert {p.name for p in (tmp_path / "one").iterdir()} == {*names, "quarantine.jsonl"}


def test_an_input_without_documents_gives_empty_tables(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    summary = dedup_files([tmp_path / "a.jsonl"], tmp_path / "out", Dedup())
    assert summary["documents_in"] == 0
    for name in ("kept", "dropped", "clusters"):
        assert rows(tmp_path / "out" / f"{name}.parquet") == []


def test_results_inside_an_input_folder_are_refused(inputs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(TableError, match="lies in the input"):
        dedup_files([tmp_path], tmp_path / "out", Dedup())
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(inputs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("ocupado")
    with pytest.raises(OutputError, match="is not a folder"):
        dedup_files(inputs, tmp_path / "out", Dedup())


def test_short_texts_of_the_same_words_are_near_duplicates(tmp_path: Path) -> None:
    texts = [SHORT, "FIM DA HISTÓRIA!", "Fim da estrada.", "!", "?"]
    first = write_lines(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    summary = dedup_files([first], tmp_path / "out", Dedup())
    assert summary["dropped"] == {"near_duplicate": 1}
    kept = [row["text"] for row in rows(tmp_path / "out" / "kept.parquet")]
    assert kept == [SHORT, "Fim da estrada.", "!", "?"]
