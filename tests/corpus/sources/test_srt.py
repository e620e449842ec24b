"""SRT subtitles: dialogue out of cues, in any encoding, and files that are none."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest

from tagarela_dagster.corpus.sources.subtitle_text import srt_cues, srt_dialogue
from tests.corpus.sources.reading import read_folder

FILM = """1
00:00:01,000 --> 00:00:03,000
<i>A vida é feita</i>
de pequenas esperas,

2
00:00:03,100 --> 00:00:05,000
disse o avô ao neto.

3
00:00:05,200 --> 00:00:07,000
{\\an8}- Vens amanhã?
- Não sei, João.

4
00:00:07,500 --> 00:00:09,000
♪ Ó mar salgado ♪

5
00:00:10,000 --> 00:00:12,000
Legendas por: Fulano de Tal
"""
LINES = [
    "A vida é feita de pequenas esperas, disse o avô ao neto.",
    "- Vens amanhã?",
    "- Não sei, João.",
    "Ó mar salgado",
]


def test_cues_become_lines_of_dialogue() -> None:
    dialogue = srt_dialogue(FILM)
    assert dialogue.text.split("\n") == LINES
    assert (dialogue.cues, dialogue.credits) == (5, 1)


def test_cues_without_numbers_or_blank_lines_are_told_apart() -> None:
    text = "00:00:01.000 --> 00:00:02.000\nUm.\n7\n0:00:03,00 --> 0:00:04,00 X1:10\nDois.\n"
    assert srt_cues(text) == [["Um."], ["Dois."]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_every_usual_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "filme.srt").write_bytes(FILM.replace("♪", "").encode(encoding))
    outcome = read_folder("srt", tmp_path)
    assert outcome.texts == {"filme.srt": "\n".join(LINES)}
    expected = None if encoding.startswith("utf-8") else encoding.removesuffix("-le")
    assert outcome.documents[0].meta.get("encoding") == expected


def test_files_in_archives_and_compressed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "um.srt").write_text(FILM, encoding="utf-8")
    (tmp_path / "dois.srt.gz").write_bytes(gzip.compress(FILM.encode()))
    with tarfile.open(tmp_path / "pack.tar.xz", "w:xz") as tar:
        tar.add(tmp_path / "um.srt", "pt/três.srt")
    outcome = read_folder("srt", tmp_path)
    assert sorted(outcome.texts) == ["dois.srt.gz", "pack.tar.xz!pt/três.srt", "um.srt"]
    assert set(outcome.texts.values()) == {"\n".join(LINES)}
    assert outcome.rejected == []


def test_bad_files_are_told_and_the_good_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "bom.srt").write_text(FILM, encoding="utf-8")
    (tmp_path / "prosa.srt").write_text("Isto não é uma legenda.\n", encoding="utf-8")
    (tmp_path / "mudo.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\n\n", encoding="utf-8")
    (tmp_path / "binario.srt").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "cortado.srt.gz").write_bytes(gzip.compress(FILM.encode())[:-30])
    (tmp_path / "leia-me.txt").write_text("Legendas.", encoding="utf-8")
    outcome = read_folder("srt", tmp_path)
    assert list(outcome.texts) == ["bom.srt"]
    reasons = {key.split(" ")[0]: reason for key, reason in outcome.reasons.items()}
    assert reasons == {
        "binario.srt": "encoding",
        "cortado.srt.gz": "truncated",
        "leia-me.txt": "-other_file",
        "mudo.srt": "-no_text",
        "prosa.srt": "not_srt",
    }
