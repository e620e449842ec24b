from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Said, Tagarela
from tests.resources.full_disk import full_disk
from tests.resources.two_sources import PARAGRAPHS

ENGLISH = (
    "The seven o'clock train to the city left late, as it nearly always does on a Monday, and "
    "nobody on the platform seemed surprised. A girl was reading with her back to the column, an "
    "old man folded his newspaper with great care, and two students were still arguing about "
    "whether it would be worth taking the bus instead when the doors opened."
)
SHORT = " ".join(PARAGRAPHS[6].split()[:45]) + "."
"""Fewer than the 50 words that a document must have."""
ROWS: list[dict[str, Any]] = [
    {"id": "a", "text": PARAGRAPHS[0], "ano": 2024},
    {"id": "b", "text": ENGLISH, "ano": 2023},
    {"id": "c", "text": PARAGRAPHS[1], "ano": 2022},
    {"id": "d", "text": SHORT, "ano": 2021},
    {"id": "e", "text": PARAGRAPHS[0], "ano": 2020},
]
COMMANDS = ("filter", "dedup")


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def write_jsonl(path: Path, rows: list[dict[str, Any]], more: str = "") -> Path:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines) + more, encoding="utf-8")
    return path


def write_table(folder: Path, kind: str, rows: list[dict[str, Any]] = ROWS) -> Path:
    write = write_parquet if kind == "parquet" else write_jsonl
    return write(folder / f"textos.{kind}", rows)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def column(path: Path, name: str) -> list[Any]:
    return pq.read_table(path).column(name).to_pylist()


def summary(out: Path) -> dict[str, Any]:
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_filter_writes_kept_dropped_and_summary(
    tmp_path: Path, tagarela: Tagarela, kind: str
) -> None:
    out = tmp_path / "out"
    said = tagarela("filter", write_table(tmp_path, kind), out)
    assert (said.code, said.err) == (0, "")
    assert "3 of 5 documents kept" in said.text
    assert "1 language" in said.text
    assert names(out) == ["dropped.parquet", "kept.parquet", "summary.json"]
    assert column(out / "kept.parquet", "id") == ["a", "c", "e"]
    assert column(out / "kept.parquet", "ano") == [2024, 2022, 2020], "other columns survive"
    dropped = pq.read_table(out / "dropped.parquet").select(["id", "text", "reason"]).to_pylist()
    assert [(row["id"], row["reason"]) for row in dropped] == [
        ("b", "language"),
        ("d", "gopher_short_doc"),
    ]
    assert dropped[0]["text"] == ENGLISH
    account = summary(out)
    assert (account["documents_in"], account["documents_kept"]) == (5, 3)
    assert account["dropped"] == {"language": 1, "gopher_short_doc": 1}
    assert account["bytes_in"] == sum(len(row["text"].encode()) for row in ROWS)


def test_filter_takes_the_rules_of_a_recipe(tmp_path: Path, tagarela: Tagarela) -> None:
    recipe = tmp_path / "meu.yaml"
    recipe.write_text(
        "name: meu\nsources: {textos: {reader: files, path: x, license: CC0-1.0}}\n"
        "corpus: {language: {keep: [pt, en]}, quality: {enabled: false}}\n"
    )
    said = tagarela("filter", write_table(tmp_path, "jsonl"), tmp_path / "out", "-r", recipe)
    assert said.code == 0
    assert column(tmp_path / "out" / "kept.parquet", "id") == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_dedup_writes_kept_dropped_clusters_and_summary(
    tmp_path: Path, tagarela: Tagarela, kind: str
) -> None:
    first = write_table(tmp_path, kind)
    near = PARAGRAPHS[1].replace("dois anos", "três anos")
    second = write_jsonl(tmp_path / "mais.jsonl", [{"text": near}, {"text": PARAGRAPHS[2]}])
    out = tmp_path / "out"
    said = tagarela("dedup", first, second, out)
    assert (said.code, said.err) == (0, "")
    assert "5 of 7 documents kept" in said.text
    assert names(out) == ["clusters.parquet", "dropped.parquet", "kept.parquet", "summary.json"]
    assert column(out / "kept.parquet", "id") == ["a", "b", "c", "d", "mais.jsonl:2"]
    dropped = pq.read_table(out / "dropped.parquet").select(["id", "reason"]).to_pylist()
    assert dropped == [
        {"id": "e", "reason": "exact_duplicate"},
        {"id": "mais.jsonl:1", "reason": "near_duplicate"},
    ]
    clusters = pq.read_table(out / "clusters.parquet").select(["cluster", "id"]).to_pylist()
    assert sorted((row["cluster"], row["id"]) for row in clusters) == [
        ("a", "a"),
        ("a", "e"),
        ("c", "c"),
        ("c", "mais.jsonl:1"),
    ]
    assert summary(out)["dropped"] == {"exact_duplicate": 1, "near_duplicate": 1}


def test_dedup_needs_an_input_and_an_output(tmp_path: Path, tagarela: Tagarela) -> None:
    said = tagarela("dedup", write_table(tmp_path, "jsonl"))
    assert said.code == 2
    assert "IN… OUT" in said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_results_do_not_depend_on_an_id_column(
    tmp_path: Path, tagarela: Tagarela, command: str
) -> None:
    rows = [{"text": row["text"]} for row in ROWS]
    assert tagarela(command, write_table(tmp_path, "jsonl", rows), tmp_path / "out").code == 0
    kept = column(tmp_path / "out" / "kept.parquet", "id")
    assert kept[0] == "textos.jsonl:1"
    assert len(kept) == len(set(kept)) == (3 if command == "filter" else 4)


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_lines_are_quarantined_and_the_good_go_on(
    tmp_path: Path, tagarela: Tagarela, command: str
) -> None:
    bad = '{"text": "cortada a me\n[1, 2]\n{"id": "sem texto"}\n{"text": 7}\n'
    table = write_jsonl(tmp_path / "textos.jsonl", ROWS[:1], bad)
    said = tagarela(command, table, tmp_path / "out")
    assert said.code == 0
    assert "4 records could not be read" in said.text
    lines = (tmp_path / "out" / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert sorted((r["file"], r["offset"].split()[-1], r["reason"]) for r in found) == [
        ("textos.jsonl", "2", "json"),
        ("textos.jsonl", "3", "json"),
        ("textos.jsonl", "4", "no_text"),
        ("textos.jsonl", "5", "no_text"),
    ]
    assert summary(tmp_path / "out")["quarantined"] == 4
    assert column(tmp_path / "out" / "kept.parquet", "id") == ["a"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_an_empty_table_gives_empty_results(
    tmp_path: Path, tagarela: Tagarela, command: str, kind: str
) -> None:
    if kind == "jsonl":
        table = write_jsonl(tmp_path / "vazio.jsonl", [])
    else:
        table = tmp_path / "vazio.parquet"
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), table)
    said = tagarela(command, table, tmp_path / "out")
    assert (said.code, said.err) == (0, "")
    assert column(tmp_path / "out" / "kept.parquet", "text") == []
    assert column(tmp_path / "out" / "dropped.parquet", "reason") == []
    assert summary(tmp_path / "out")["documents_in"] == 0


def refused(said: Said, out: Path) -> str:
    """The sentence of a command that left nothing behind."""
    assert said.out == ""
    assert not out.exists() or not [p for p in out.rglob("*") if p.is_file()]
    assert "\n" not in said.sentence
    return said.sentence


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_table_without_text_is_a_sentence(
    tmp_path: Path, tagarela: Tagarela, command: str, kind: str
) -> None:
    table = write_table(tmp_path, kind, [{"id": "a", "corpo": PARAGRAPHS[0]}])
    sentence = refused(tagarela(command, table, tmp_path / "out"), tmp_path / "out")
    assert f"textos.{kind} has no column 'text': " in sentence
    assert "corpo" in sentence


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "says"),
    [("nada.jsonl", "does not exist"), ("texto.docx", "is neither Parquet nor JSONL")],
)
def test_an_input_that_is_none_is_a_sentence(
    tmp_path: Path, tagarela: Tagarela, command: str, name: str, says: str
) -> None:
    (tmp_path / "texto.docx").write_text("texto")
    sentence = refused(tagarela(command, tmp_path / name, tmp_path / "out"), tmp_path / "out")
    assert sentence.startswith(f"{tmp_path / name} {says}")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_is_a_file_is_a_sentence(
    tmp_path: Path, tagarela: Tagarela, command: str
) -> None:
    out = tmp_path / "out"
    out.write_text("already here")
    said = tagarela(command, write_table(tmp_path, "jsonl"), out)
    assert (
        said.sentence == f"{out} is not a folder: give a new or an existing folder for the results"
    )
    assert out.read_text() == "already here"


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_cannot_be_written_to_is_a_sentence(
    tmp_path: Path, tagarela: Tagarela, command: str
) -> None:
    said = tagarela(command, write_table(tmp_path, "jsonl"), "/proc/tagarela/out")
    assert refused(said, Path("/proc/tagarela/out")).startswith("/proc/tagarela/out cannot be ")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_a_sentence_and_leaves_the_results_of_before(
    tmp_path: Path, tagarela: Tagarela, command: str
) -> None:
    words = " ".join(PARAGRAPHS).split()
    order = random.Random(1)
    rows = [{"text": " ".join(order.sample(words, 80))} for _ in range(300)]
    table = write_table(tmp_path, "jsonl", rows)
    new, old = tmp_path / "new", tmp_path / "old"
    assert tagarela(command, write_table(tmp_path, "parquet"), old).code == 0
    before = {name: (old / name).read_bytes() for name in names(old)}
    for out in (new, old):
        with full_disk(10_000):
            sentence = tagarela(command, table, out).sentence
        assert sentence.startswith(f"no room left to write to {out}: free some space")
    assert not new.exists() or names(new) == []
    assert {name: (old / name).read_bytes() for name in names(old)} == before
