from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.models.passages import (
    Row,
    by_variety,
    cut,
    file_passages,
    source_passages,
)
from tagarela_dagster.corpus.shards import ShardWriter
from tagarela_dagster.recipe.models import LabelledFile

CLASSES = ("pt-BR", "pt-PT")
TEXT = " ".join(f"A palavra {i} vem antes da {i + 1}.\n" for i in range(600))


def test_a_text_is_cut_into_all_of_it_at_white_space() -> None:
    pieces = list(cut("x:1", TEXT, share=1))
    assert " ".join(pieces).split() == TEXT.split()
    sizes = [len(piece) for piece in pieces]
    assert max(sizes) <= 3_100 and len({size // 500 for size in sizes}) > 3
    lines = list(cut("x:1", TEXT, share=1, longest=2_000, by_line=True))
    assert all(piece.endswith(".") and piece.startswith("A palavra") for piece in lines)


def test_the_share_of_passages_is_taken_by_hash() -> None:
    every = list(cut("x:1", TEXT * 20, share=1))
    some = list(cut("x:1", TEXT * 20, share=0.3))
    assert set(some) <= set(every) and 0.2 < len(some) / len(every) < 0.4
    assert some == list(cut("x:1", TEXT * 20, share=0.3))


def test_labels_are_the_documents_own_then_weak_ones_from_the_domain() -> None:
    label = by_variety(CLASSES, weak_domains=True)
    assert label(Row("a", "", "pt-BR", "https://www.publico.pt/x")) == "pt-BR"
    assert label(Row("a", "", None, "https://www.publico.pt/x")) == "pt-PT"
    assert label(Row("a", "", None, "http://uol.com.br:80/pt")) == "pt-BR"
    assert label(Row("a", "", None, "http://[2001:db8.pt/x")) is None
    assert label(Row("a", "", "other", "https://www.publico.pt/x")) is None
    assert label(Row("a", "", None, "https://exemplo.com/pt-br/")) is None
    assert by_variety(CLASSES, weak_domains=False)(Row("a", "", None, "https://x.pt")) is None


def test_passages_of_a_source_come_from_its_labelled_documents(tmp_path: Path) -> None:
    documents = [
        Document("1", "Estou a ler.", variety="pt-PT").row("jornal", "1"),
        Document("2", "Estou lendo.").row("jornal", "1"),
    ]
    with ShardWriter(tmp_path, "a", DOCUMENT_SCHEMA) as out:
        out.write(pa.RecordBatch.from_pylist(documents, DOCUMENT_SCHEMA))
    label = by_variety(CLASSES, weak_domains=False)
    [passage] = source_passages("jornal", [tmp_path / "a.parquet"], label, 1e6)
    assert (passage.text, passage.label, passage.source) == ("Estou a ler.", "pt-PT", "jornal")


def test_labelled_lines_are_joined_by_group(tmp_path: Path) -> None:
    path = tmp_path / "rotulos.jsonl.gz"
    rows = [
        ("1", "Um.", "pt-PT"),
        ("1", "Dois.", "pt-PT"),
        ("2", "Três.", "pt-BR"),
        ("3", "x", "gl"),
    ]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for doc, text, variety in rows:
            file.write(json.dumps({"doc": doc, "text": text, "variety": variety}) + "\n")
    found = list(file_passages(LabelledFile(path=str(path), group="doc"), CLASSES, 1e6))
    assert [(p.text, p.label, p.source) for p in found] == [
        ("Um.\nDois.", "pt-PT", "rotulos"),
        ("Três.", "pt-BR", "rotulos"),
    ]
    with pytest.raises(ValueError, match="line 1: KeyError.*'lingua'"):
        list(file_passages(LabelledFile(path=str(path), label="lingua"), CLASSES, 1e6))
    pinned = LabelledFile(path=str(path), sha256="0" * 64)
    with pytest.raises(ValueError, match="the recipe wants 000"):
        list(file_passages(pinned, CLASSES, 1e6))


def test_strings_of_an_interface_are_text_with_one_label(tmp_path: Path) -> None:
    path = tmp_path / "ui.pt.json"
    path.write_text(json.dumps({"pt": {"a": "Guardar", "b": ["Ficheiro", {"c": "Ecrã"}]}}))
    section = LabelledFile(path=str(path), value="pt-PT", name="ui")
    [passage] = file_passages(section, CLASSES, 1e6)
    assert (passage.text, passage.source) == ("Guardar\nFicheiro\nEcrã", "ui")
