"""The hashes and files of ``repeats`` are pinned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tagarela_dagster.corpus.dedup.cuts_index import repeats_identity, search_rules
from tagarela_dagster.corpus.dedup.cuts_write import CUT_SCHEMA
from tagarela_dagster.corpus.dedup.index import open_index
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.repeats_hashes import index_texts
from tagarela_dagster.provenance.lake import Lake
from tests.corpus.dedup.repeated import documents, repeats, section, write_texts

TEXT = "Há 1.250 comentários\nO rio subiu durante a noite e de manhã já cobria os campos"
SAME = "há 12.3 COMENTARIOS!\n— O rio subiu, durante a noite; e de manha já cobria\tos campos…"
RULES = section(min_words=8, max_documents=1, min_letters=10)


def hashes(text: str) -> tuple[list[int], list[int], list[int]]:
    data, offsets = text_buffers(documents("a@1", {"x": text}).column("text"))
    lines = [np.zeros(9, np.uint64), np.zeros(9, np.uint64)]
    runs = np.zeros(99, np.uint64)
    rows = np.zeros(99, np.uint32)
    count, kept = index_texts(data, offsets, search_rules(RULES.repeats), *lines, rows, runs, rows)
    return lines[0][:count].tolist(), lines[1][:count].tolist(), runs[:kept].tolist()


def test_the_hashes_of_a_text_are_these() -> None:
    assert hashes(TEXT) == (
        [2386803422725943949, 6746621533322947846],
        [16368116651830428124, 3131216887084006429],
        [4899470725635762570, 1706007117045167052, 2398379877343539661],
    )
    assert hashes(SAME)[:2] == hashes(TEXT)[:2]


def test_a_stretch_of_half_the_words_leads_from_one_text_to_another() -> None:
    inside = f"Noutra página: {TEXT.split(chr(10))[1]}, dizem os vizinhos."
    assert set(hashes(TEXT)[2]) & set(hashes(inside)[2])


def test_the_tables_of_an_index_are_these(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    inputs = write_texts(tmp_path / "in", {"a@1": [{"x": TEXT}]})
    (path,) = lake.paths(repeats(lake, inputs, RULES), "state/")
    index = open_index(path, repeats_identity(inputs["a@1"], RULES.repeats))
    assert [(t.name, t.entries, t.wide) for t in index.tables] == [
        ("line", 2, True),
        ("run", len(hashes(TEXT)[2]), False),
    ]


def test_cuts_have_these_columns(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    corpus = {"a@1": [{"x": TEXT, "y": SAME}]}
    manifest = repeats(lake, write_texts(tmp_path / "in", corpus), RULES)
    (path,) = lake.paths(manifest, "cuts/")
    table = pq.read_table(path)
    assert table.schema.equals(CUT_SCHEMA)
    assert table.to_pylist() == [
        {"shard": "00000", "row": 1, "id": "y", "start": 0, "end": 90, "kind": "line"}
    ]
