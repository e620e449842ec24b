"""Europarl: chapters of the source release, runs of the parallel release."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest

from tests.corpus.sources.reading import read_folder

DAY = """<CHAPTER ID="1">
Reinício da sessão
<SPEAKER ID="1" NAME="A Presidente">
Declaro reaberta a sessão do Parlamento Europeu.
<P>
Desejo-lhes um bom ano.
<SPEAKER ID="2" LANGUAGE="DE" NAME="Schmidt" AFFILIATION="PPE">
(DE) Senhora Presidente, obrigado.
<CHAPTER ID=2>
Ordem dos trabalhos
<SPEAKER ID=3 NAME=Evans>
Peço a palavra.
"""


def test_a_chapter_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "ep-00-01-17.txt").write_text(DAY, encoding="utf-8")
    outcome = read_folder("europarl", tmp_path)
    first, second = outcome.documents
    assert first.native_id == "ep-00-01-17.txt#1"
    assert first.title == "Reinício da sessão"
    assert first.text.split("\n") == [
        "Reinício da sessão",
        "Declaro reaberta a sessão do Parlamento Europeu.",
        "Desejo-lhes um bom ano.",
        "Senhora Presidente, obrigado.",
    ]
    assert (str(first.date), first.variety) == ("2000-01-17", "pt-PT")
    assert first.meta["speakers"] == [
        {"name": "A Presidente"},
        {"name": "Schmidt", "language": "DE", "affiliation": "PPE"},
    ]
    assert (second.native_id, second.text) == (
        "ep-00-01-17.txt#2",
        "Ordem dos trabalhos\nPeço a palavra.",
    )
    assert second.meta["speakers"] == [{"name": "Evans"}]
    assert outcome.rejected == []


@pytest.mark.parametrize(
    ("day", "kept"),
    [("00-09-30", 2), ("00-10-02", 0), ("00-12-15", 0), ("01-10-02", 2), ("99-11-04", 2)],
)
def test_the_last_quarter_of_2000_is_reserved(day: str, kept: int, tmp_path: Path) -> None:
    (tmp_path / f"ep-{day}.txt").write_text(DAY, encoding="utf-8")
    outcome = read_folder("europarl", tmp_path)
    assert len(outcome.documents) == kept
    assert [r.reason for r in outcome.rejected] == ["reserved_test"] * (2 - kept)
    assert not any(r.quarantined for r in outcome.rejected)
    every = read_folder("europarl", tmp_path, options={"reserve_q4_2000": False})
    assert len(every.documents) == 2


def test_the_published_archive_gives_its_portuguese_part(tmp_path: Path) -> None:
    for name in ("txt/pt/ep-09-04-21-023.txt", "txt/en/ep-09-04-21-023.txt", "README"):
        path = tmp_path / "europarl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(DAY, encoding="utf-8")
    (tmp_path / "release").mkdir()
    with tarfile.open(tmp_path / "release" / "europarl.tgz", "w:gz") as tar:
        for name in ("txt/pt/ep-09-04-21-023.txt", "txt/en/ep-09-04-21-023.txt", "README"):
            tar.add(tmp_path / "europarl" / name, name)
    outcome = read_folder("europarl", tmp_path / "release")
    assert list(outcome.texts) == ["ep-09-04-21-023.txt#1", "ep-09-04-21-023.txt#2"]
    assert outcome.reasons == {
        "europarl.tgz!txt/en/ep-09-04-21-023.txt byte 0": "-other_language",
        "europarl.tgz!README byte 0": "-other_file",
    }


def test_the_parallel_release_is_cut_into_runs_of_lines(tmp_path: Path) -> None:
    sentences = [f"Frase número {n}." for n in range(1, 8)]
    sentences[1] = ""
    (tmp_path / "europarl-v7.pt-en.pt").write_text("\n".join(sentences) + "\n", encoding="utf-8")
    (tmp_path / "europarl-v7.pt-en.en").write_text("Sentence.\n", encoding="utf-8")
    outcome = read_folder("europarl", tmp_path, options={"lines_per_document": 3})
    assert outcome.texts == {
        "europarl-v7.pt-en.pt#1": "Frase número 1.\nFrase número 3.",
        "europarl-v7.pt-en.pt#4": "Frase número 4.\nFrase número 5.\nFrase número 6.",
        "europarl-v7.pt-en.pt#7": "Frase número 7.",
    }
    assert outcome.reasons == {"europarl-v7.pt-en.en byte 0": "-other_language"}


def test_the_open_chapter_of_a_cut_file_is_lost_and_the_others_are_not(tmp_path: Path) -> None:
    noise = "".join(f"<P>\nParágrafo {n * n % 9973} da sessão {n}.\n" for n in range(20_000))
    data = gzip.compress((DAY + noise).encode())
    (tmp_path / "ep-01-01-17.txt.gz").write_bytes(data[: len(data) // 2])
    outcome = read_folder("europarl", tmp_path)
    assert list(outcome.texts) == ["ep-01-01-17.txt#1"]
    assert outcome.reasons == {"ep-01-01-17.txt.gz line 9": "truncated"}


def test_a_cut_parallel_file_gives_its_whole_lines(tmp_path: Path) -> None:
    text = "".join(f"Esta é a frase {n * n % 9973} da lista {n}.\n" for n in range(9000))
    data = gzip.compress(text.encode())
    (tmp_path / "europarl-v7.pt-en.pt.gz").write_bytes(data[: len(data) // 2])
    outcome = read_folder("europarl", tmp_path)
    assert text.startswith("\n".join(outcome.texts.values()))
    assert [r.reason for r in outcome.rejected] == ["truncated"]


def test_a_line_that_is_no_text_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    binary = bytes(range(1, 10)) + bytes(range(14, 32)) + bytes(range(128, 200))
    data = b"Primeira.\n" + binary + "\nSessão em Latin-1.\n".encode("latin-1")
    (tmp_path / "europarl-v7.pt-es.pt").write_bytes(data)
    outcome = read_folder("europarl", tmp_path)
    assert outcome.texts == {"europarl-v7.pt-es.pt#1": "Primeira.\nSessão em Latin-1."}
    assert outcome.reasons == {"europarl-v7.pt-es.pt line 2": "encoding"}


def test_chapters_with_the_same_number_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "ep-02-01-17.txt").write_text(DAY.replace("ID=2", "ID=1"), encoding="utf-8")
    outcome = read_folder("europarl", tmp_path)
    assert list(outcome.texts) == ["ep-02-01-17.txt#1", "ep-02-01-17.txt#1.2"]
