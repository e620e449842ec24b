from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.decontamination.kernel import make_kernel
from tagarela_dagster.corpus.decontamination.report import (
    CONTAMINATION_SCHEMA,
    ContaminationReport,
    contamination_report,
    contamination_rows,
    merge_reports,
    write_report,
)
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.recipe.decontamination import Decontamination
from tests.corpus.decontamination.copies import BAKER, ISLAND, write_items

TEXTS = {
    "blogues": ("Nada.", f"Lido: {BAKER} pão.", f"{BAKER[:82]} etc. {ISLAND} faroleiro"),
    "livros": (f"Sim. {BAKER}",),
    "jornais": ("Choveu o dia inteiro.",),
}


def report(folder: Path, section: Decontamination) -> tuple[list[Path], ContaminationReport]:
    files = [write_items(folder), write_items(folder, "prova", [{"text": ISLAND + " a mais"}])]
    kernel = make_kernel(files, section)
    shards = []
    for source, texts in TEXTS.items():
        rows = [Document(str(i), text).row(source, "2026") for i, text in enumerate(texts)]
        batch = pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)
        found = contamination_rows(batch, kernel(batch))
        assert found.schema == CONTAMINATION_SCHEMA
        shards.append(folder / f"{source}.parquet")
        pq.write_table(pa.Table.from_batches([found]), shards[-1])
    return shards, merge_reports(shards, files, section)


def test_a_row_tells_document_item_length_share_and_words(tmp_path: Path) -> None:
    shards, _ = report(tmp_path, Decontamination())
    rows = list(contamination_report(shards))
    assert [(r["source"], r["item"], r["words"], round(r["covered"], 2)) for r in rows] == [
        ("blogues", "p", 26, 1.0),
        ("blogues", "p", 16, 0.62),
        ("blogues", "i", 12, 1.0),
        ("livros", "p", 25, 0.96),
    ]
    assert {row["action"] for row in rows} == {"drop"}
    assert rows[2]["excerpt"] == f"{ISLAND} faroleiro"


def test_partitions_merge_into_counts_by_task_and_source(tmp_path: Path) -> None:
    _, merged = report(tmp_path, Decontamination())
    assert merged.tasks["ultima_palavra"] == {
        "items": 3,
        "searched": 2,
        "contaminated": 2,
        "share": 1.0,
        "left": 0,
        "left_share": 0.0,
        "sources": {
            "blogues": {"items": 2, "share": 1.0, "documents": 2},
            "livros": {"items": 1, "share": 0.5, "documents": 1},
        },
    }
    assert merged.tasks["prova"]["contaminated"] == 0
    assert merged.items["ultima_palavra", "p"].documents == 3


def test_the_order_of_the_shards_does_not_matter(tmp_path: Path) -> None:
    section = Decontamination()
    shards, merged = report(tmp_path, section)
    files = [tmp_path / "ultima_palavra.jsonl", tmp_path / "prova.jsonl"]
    again = merge_reports(shards[::-1], files[::-1], section)
    assert again == merged
    first = [(tmp_path / "a" / n).read_bytes() for n, _ in write_report(merged, tmp_path / "a")]
    assert [(tmp_path / "b" / n).read_bytes() for n, _ in write_report(again, tmp_path / "b")] == (
        first
    )


def test_what_is_only_reported_is_left_in_the_corpus(tmp_path: Path) -> None:
    _, merged = report(tmp_path, Decontamination(action="report"))
    assert merged.tasks["ultima_palavra"]["left"] == 2
    assert write_report(merged, tmp_path / "out") == [("items.parquet", 2), ("report.json", 2)]
    written = pq.read_table(tmp_path / "out" / "items.parquet").to_pylist()
    assert [(r["item"], r["documents"], r["left"], r["sources"]) for r in written] == [
        ("i", 1, 1, ["blogues"]),
        ("p", 3, 3, ["blogues", "livros"]),
    ]
    tasks = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["tasks"]
    assert tasks == merged.tasks
