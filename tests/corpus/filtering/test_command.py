from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tagarela_dagster.corpus.document import SIGNALS
from tagarela_dagster.corpus.filtering import command
from tagarela_dagster.corpus.filtering.command import filter_file
from tagarela_dagster.corpus.filtering.results import OutputError, results_folder
from tagarela_dagster.corpus.tables import TableError
from tagarela_dagster.recipe.corpus import Corpus
from tests.corpus.filtering.filter_prose import BUS, MARKET, REPORT
from tests.corpus.filtering.test_language import GALICIAN

ROWS = [
    {"id": "a", "text": "Menu\n" + MARKET, "year": 1999, "tags": ["feira"]},
    {"id": "b", "text": GALICIAN, "year": 2001},
    {"id": "c", "text": BUS + "\nFale com rui@sapo.pt sobre o passeio.", "year": None},
    {"id": "d", "text": "Menu", "year": 2003},
]


def lines_of(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_bytes(lines_of(ROWS))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_kept_dropped_and_summary_are_written(table: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    summary = filter_file(table, tmp_path / "out", Corpus(), progress=seen.append)
    assert sum(seen) == 4
    assert names(tmp_path / "out") == ["dropped.parquet", "kept.parquet", "summary.json"]
    assert json.loads((tmp_path / "out/summary.json").read_text()) == summary
    assert summary["documents_in"] == 4 and summary["documents_kept"] == 2
    assert summary["dropped"] == {"empty": 1, "language": 1}
    assert summary["edits"] == {"cleanup": 5, "pii": 3}
    assert summary["quarantined"] == 0
    size = sum(len(row["text"].encode()) for row in ROWS)
    assert summary["bytes_in"] == size
    assert summary["bytes_dropped"] == len(GALICIAN.encode()) + 4
    assert size == summary["bytes_kept"] + summary["bytes_dropped"] + 8
    kept = pq.read_table(tmp_path / "out/kept.parquet").to_pylist()
    assert [(row["id"], row["year"], row["tags"]) for row in kept] == [
        ("a", 1999, '["feira"]'),
        ("c", None, None),
    ]
    assert kept[0]["text"] == MARKET and "[e-mail]" in kept[1]["text"]
    assert kept[0]["language"] == "pt" and set(kept[0]["quality"]) == set(SIGNALS)
    dropped = pq.read_table(tmp_path / "out/dropped.parquet").to_pylist()
    assert [(row["id"], row["reason"], row["text"]) for row in dropped] == [
        ("b", "language", GALICIAN),
        ("d", "empty", "Menu"),
    ]


def test_formats_and_compressions_give_the_same_documents(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines_of(ROWS[:1])))
    (folder / "b.jsonl.zst").write_bytes(zstandard.compress(lines_of(ROWS[1:2])))
    pq.write_table(pa.Table.from_pylist(ROWS[2:]), folder / "deep" / "c.parquet")
    filter_file(table, tmp_path / "one", Corpus())
    filter_file(folder, tmp_path / "two", Corpus())
    for name in ("kept.parquet", "dropped.parquet"):
        one, two = (pq.read_table(tmp_path / out / name) for out in ("one", "two"))
        columns = ["id", "text", "year", "language", "quality"]
        assert one.select(columns) == two.select(columns)


def test_the_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for part in range(6):
        (tmp_path / "in" / f"{part}.jsonl").write_bytes(lines_of(ROWS[part % 3 :]))
    for workers in (1, 2):
        filter_file(tmp_path / "in", tmp_path / f"out{workers}", Corpus(), workers)
    for name in command.RESULTS[1:]:
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()


def test_bad_records_are_quarantined_with_their_place_and_the_good_go_on(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    good = lines_of(ROWS[:1])
    data = gzip.compress(good + b'{"text": "cortad\n{"text": null}\n[1]\n' + good + good * 50)
    path.write_bytes(data[:-40])
    summary = filter_file(path, tmp_path / "out", Corpus())
    rejected = [json.loads(x) for x in (tmp_path / "out/quarantine.jsonl").read_text().splitlines()]
    assert summary["quarantined"] == len(rejected) == 4
    assert {r["file"] for r in rejected} == {"in.jsonl.gz"}
    assert sorted(r["reason"] for r in rejected) == ["json", "json", "no_text", "truncated"]
    assert "2" in rejected[0]["offset"]
    assert summary["documents_in"] == summary["documents_kept"] >= 1


def test_a_later_sound_run_removes_an_earlier_quarantine(table: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(b"{\n")
    filter_file(bad, tmp_path / "out", Corpus())
    assert "quarantine.jsonl" in names(tmp_path / "out")
    assert pq.read_table(tmp_path / "out/kept.parquet").num_rows == 0
    filter_file(table, tmp_path / "out", Corpus())
    assert names(tmp_path / "out") == ["dropped.parquet", "kept.parquet", "summary.json"]


def test_the_licence_gate_is_on_only_with_a_license_column(tmp_path: Path) -> None:
    rows = [{"text": REPORT, "license": "CC0-1.0"}, {"text": BUS, "license": None}]
    (tmp_path / "in.jsonl").write_bytes(lines_of(rows))
    summary = filter_file(tmp_path / "in.jsonl", tmp_path / "out", Corpus())
    assert summary["documents_kept"] == 1 and summary["dropped"] == {"license_missing": 1}
    kept = pq.read_table(tmp_path / "out/kept.parquet")
    assert kept.column("id").to_pylist() == ["in.jsonl:1"]


def test_a_table_without_text_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"texto": ["Olá"]}), tmp_path / "in.parquet")
    with pytest.raises(TableError, match="no column 'text': texto"):
        filter_file(tmp_path / "in.parquet", tmp_path / "out", Corpus())
    assert not (tmp_path / "out").exists()


def test_results_inside_the_input_folder_are_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="its results would be read"):
        filter_file(tmp_path, tmp_path / "out", Corpus())
    assert names(tmp_path) == ["in.jsonl"]


def test_a_failure_leaves_the_results_of_the_run_before(table: Path, tmp_path: Path) -> None:
    filter_file(table, tmp_path / "out", Corpus())
    before = {name: (tmp_path / "out" / name).read_bytes() for name in names(tmp_path / "out")}

    def broken(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filter_file(table, tmp_path / "out", Corpus(), progress=broken)
    assert before == {n: (tmp_path / "out" / n).read_bytes() for n in names(tmp_path / "out")}


def test_an_output_that_is_a_file_is_a_sentence(table: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("ocupado")
    with pytest.raises(OutputError, match=r"out is not a folder: give a new or an existing"):
        filter_file(table, tmp_path / "out", Corpus())
    assert (tmp_path / "out").read_text() == "ocupado"


def test_a_read_only_output_is_a_sentence(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    # The superuser may write anywhere but below /proc.
    out = Path("/proc/self") if os.geteuid() == 0 else out
    if os.geteuid():
        out.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written to"):
        filter_file(table, out, Corpus())


_FULL = """
import resource, sys
from pathlib import Path
from tagarela_dagster.corpus.filtering.command import filter_file
from tagarela_dagster.recipe.corpus import Corpus
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    filter_file(Path(sys.argv[1]), Path(sys.argv[2]), Corpus())
except OSError as error:
    print(error)
"""


def test_a_disk_without_room_is_a_sentence_and_leaves_nothing(table: Path, tmp_path: Path) -> None:
    # A limit on the size of a file stands for a full disk: the write fails in the same place.
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(table), str(out)], capture_output=True, text=True
    )
    assert done.stdout.startswith(f"no room left to write to {out}: free some space"), done.stderr
    assert names(out) == []


def test_results_that_a_new_run_does_not_write_are_removed(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("1")
    (tmp_path / "mine.txt").write_text("2")
    with results_folder(tmp_path, ["old.txt", "new.txt"]) as staging:
        (staging / "new.txt").write_text("3")
        assert names(tmp_path)[-2:] == ["mine.txt", "old.txt"]
    assert names(tmp_path) == ["mine.txt", "new.txt"]
