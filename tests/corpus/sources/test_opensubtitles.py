"""OpenSubtitles in OPUS's packaging: flavours, films and their uploads, malformed files."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from pathlib import Path

import pytest

from tagarela_dagster.corpus.sources import opensubtitles
from tagarela_dagster.recipe.sources import Source
from tests.corpus.sources.reading import raw_files, read_folder

META = """  <meta>
    <subtitle>
      <duration>01:32:10,000</duration>
      <language>Portuguese</language>
      <rating>{rating}</rating>
      <machine_translated>0</machine_translated>
      <date>2012-04-10</date>
    </subtitle>
    <conversion><encoding>windows-1252</encoding><sentences>2</sentences></conversion>
    <source><original>English</original><year>2004</year><genre>Drama</genre></source>
  </meta>
"""


def raw(*sentences: str, rating: str = "0.0", meta: bool = True) -> str:
    """A file of the raw flavour."""
    body = "".join(
        f'  <s id="{n}">\n    <time id="T{n}S" value="00:00:0{n},000" />\n    {text}\n'
        f'    <time id="T{n}E" value="00:00:0{n},900" />\n  </s>\n'
        for n, text in enumerate(sentences, 1)
    )
    end = META.format(rating=rating) if meta else ""
    return f'<?xml version="1.0" encoding="utf-8"?>\n<document id="1">\n{body}{end}</document>\n'


def tokens(*words: str) -> str:
    """A file of the xml flavour with one sentence."""
    body = "".join(f'<w id="1.{n}">{word}</w>\n' for n, word in enumerate(words, 1))
    return f'<document id="1">\n<s id="1">\n<time id="T1S" value="0"/>\n{body}</s>\n</document>'


def pack(path: Path, members: dict[str, str | bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"OpenSubtitles/{name}", data)


def test_the_raw_flavour_gives_sentences_and_the_meta_of_the_end(tmp_path: Path) -> None:
    pack(
        tmp_path / "pt.zip",
        {"raw/pt/2004/363163/77.xml": raw("- Olá, João!", "Vens cá &amp; ficas?")},
    )
    (document,) = read_folder("opensubtitles", tmp_path).documents
    assert document.text == "- Olá, João!\nVens cá & ficas?"
    assert document.native_id == "363163/77"
    assert document.variety == "pt-PT"
    assert str(document.date) == "2012-04-10"
    assert document.meta == {
        "duration": "01:32:10,000",
        "flavour": "raw",
        "genre": "Drama",
        "imdb": "363163",
        "language": "Portuguese",
        "machine_translated": False,
        "original": "English",
        "original_encoding": "windows-1252",
        "rating": 0.0,
        "sentences": 2,
        "upload": "77",
        "year": 2004,
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("- Não , não ! Espera ...", "- Não, não! Espera..."),
        ('Ele disse : " Vai " e foi .', 'Ele disse: "Vai" e foi.'),
        ("Uma gota d ' água ( fria ) .", "Uma gota d'água (fria)."),
        ("Custa R$ 10 , ou 20 % .", "Custa R$ 10, ou 20%."),
        ("Dá -me o livro e disse-lhe : « sim » .", "Dá-me o livro e disse-lhe: «sim»."),
    ],
)
def test_tokens_are_joined_as_portuguese_is_written(
    words: str, sentence: str, tmp_path: Path
) -> None:
    pack(tmp_path / "pt_br.zip", {"xml/pt_br/1999/5/6.xml": tokens(*words.split())})
    (document,) = read_folder("opensubtitles", tmp_path).documents
    assert document.text == sentence
    assert document.variety == "pt-BR"


def test_annotated_spaces_win_over_the_rule(tmp_path: Path) -> None:
    xml = '<document><s><w misc="SpaceAfter=No">Olá</w><w>,</w><w misc="SpaceAfter=No">10</w>'
    xml += '<w misc="SpaceAfter=No">:</w><w>30</w></s></document>'
    pack(tmp_path / "pt.zip", {"xml/pt/1999/5/6.xml": xml})
    assert read_folder("opensubtitles", tmp_path).documents[0].text == "Olá, 10:30"


@pytest.mark.parametrize(
    ("code", "variety"), [("pt", "pt-PT"), ("pt_br", "pt-BR"), ("pt_BR", "pt-BR")]
)
def test_the_path_gives_the_variety(code: str, variety: str, tmp_path: Path) -> None:
    pack(tmp_path / "x.zip", {f"raw/{code}/2004/1/2.xml": raw("Bom dia.")})
    (document,) = read_folder("opensubtitles", tmp_path).documents
    assert document.variety == variety


UPLOADS: dict[str, str | bytes] = {
    "raw/pt/2004/100/9.xml": raw("Nove um.", "Nove dois.", rating="5.0"),
    "raw/pt/2005/200/1.xml": raw("Outro filme."),
    "raw/pt/2004/100/10.xml": raw("Dez um.", "Dez dois.", "Dez três.", rating="5.0"),
    "raw/pt/2004/100/11.xml": raw("Onze.", rating="4.0"),
    "raw/pt/2004/4294967295/20.xml": raw("Sem número."),
    "raw/pt/2004/4294967295/21.xml": raw("Também sem."),
}


def test_one_upload_a_film_is_kept_by_rating_then_sentences(tmp_path: Path) -> None:
    pack(tmp_path / "pt.zip", UPLOADS)
    outcome = read_folder("opensubtitles", tmp_path)
    assert sorted(outcome.texts) == [
        "100/10",
        "200/1",
        "4294967295/20",
        "4294967295/21",
    ]
    kept = next(d for d in outcome.documents if d.native_id == "100/10")
    assert kept.meta["uploads"] == 3
    assert all("imdb" not in d.meta for d in outcome.documents if "42949" in d.native_id)
    assert outcome.reasons == {
        "pt.zip!OpenSubtitles/raw/pt/2004/100/9.xml byte 0": "-other_upload",
        "pt.zip!OpenSubtitles/raw/pt/2004/100/11.xml byte 0": "-other_upload",
    }


def test_of_equal_uploads_the_lowest_number_is_kept(tmp_path: Path) -> None:
    pack(
        tmp_path / "pt.zip",
        {"raw/pt/1/1/30.xml": raw("Um."), "raw/pt/1/1/4.xml": raw("Dois.")},
    )
    assert list(read_folder("opensubtitles", tmp_path).texts) == ["1/4"]


def test_every_upload_is_a_document_on_request(tmp_path: Path) -> None:
    pack(tmp_path / "pt.zip", UPLOADS)
    outcome = read_folder("opensubtitles", tmp_path, options={"one_per_film": False})
    assert (len(outcome.documents), outcome.rejected) == (6, [])


def test_a_folder_and_a_tar_give_what_the_zip_gives(tmp_path: Path) -> None:
    for kind in ("zip", "folder", "tar"):
        (tmp_path / kind).mkdir()
    pack(tmp_path / "zip" / "pt.zip", UPLOADS)
    for name, data in sorted(UPLOADS.items()):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(str(data).encode()))
        path.rename(path.with_name(path.name + ".gz"))
    with tarfile.open(tmp_path / "tar" / "pt.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "folder", ".")
    texts = [read_folder("opensubtitles", tmp_path / kind).texts for kind in ("zip", "folder")]
    assert texts[0] == texts[1]
    options = {"one_per_film": False}
    assert len(read_folder("opensubtitles", tmp_path / "tar", options=options).documents) == 6


def test_malformed_files_are_recovered_and_counted(tmp_path: Path) -> None:
    broken = raw("Antes.", "Durante <i>o filme & depois", "Depois.")
    cut = raw("Primeira.", "Segunda.").split("Segunda.")[0]
    pack(
        tmp_path / "pt.zip",
        {
            "raw/pt/2000/1/1.xml": broken,
            "raw/pt/2000/2/2.xml": cut,
            "raw/pt/2000/3/3.xml": raw("Sã.").encode("latin-1"),
            "raw/pt/2000/4/4.xml": raw("Controle\x0bé ruim."),
        },
    )
    outcome = read_folder("opensubtitles", tmp_path)
    assert outcome.rejected == []
    assert outcome.texts == {
        "1/1": "Antes.\nDurante o filme & depois\nDepois.",
        "2/2": "Primeira.",
        "3/3": "Sã.",
        "4/4": "Controleé ruim.",
    }
    recovered = {d.native_id: d.meta.get("recovered") for d in outcome.documents}
    assert recovered == {"1/1": True, "2/2": True, "3/3": None, "4/4": None}


def test_what_is_no_subtitle_is_told(tmp_path: Path) -> None:
    pack(
        tmp_path / "pt.zip",
        {
            "raw/pt/2000/1/1.xml": raw("Bom."),
            "raw/pt/2000/2/2.xml": "isto não é XML",
            "raw/pt/2000/3/3.xml": '<document id="3"></document>',
            "raw/pt/2000/4/4.xml": bytes(range(256)) * 20,
            "raw/pt/2000/5/5.xml": b"",
            "raw/es/2000/6/6.xml": raw("Hola."),
            "README": "Leia-me.",
        },
    )
    outcome = read_folder("opensubtitles", tmp_path)
    assert list(outcome.texts) == ["1/1"]
    prefix = "pt.zip!OpenSubtitles/"
    assert {k.removeprefix(prefix).split(" ")[0]: v for k, v in outcome.reasons.items()} == {
        "raw/pt/2000/2/2.xml": "malformed",
        "raw/pt/2000/3/3.xml": "-no_text",
        "raw/pt/2000/4/4.xml": "encoding",
        "raw/pt/2000/5/5.xml": "malformed",
        "raw/es/2000/6/6.xml": "-other_language",
        "README": "-other_file",
    }


def test_a_cut_zip_is_told(tmp_path: Path) -> None:
    pack(tmp_path / "pt.zip", UPLOADS)
    data = (tmp_path / "pt.zip").read_bytes()
    (tmp_path / "pt.zip").write_bytes(data[: len(data) // 2])
    assert read_folder("opensubtitles", tmp_path).reasons == {"pt.zip byte 0": "truncated"}


def test_units_cut_a_zip_between_films_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(tmp_path / "pt.zip", UPLOADS)
    whole = read_folder("opensubtitles", tmp_path).texts
    monkeypatch.setattr(opensubtitles, "UNIT_BYTES", 10)
    source = Source(reader="opensubtitles", path="x", license="CC0-1.0")
    units = opensubtitles.plan(raw_files(tmp_path), source)
    # Uploads 9, 10 and 11 of one film enclose another film: these four stay together.
    assert len(units) == 3
    assert units[0].part and units[0].part[0] == 0
    assert [a.part[1] for a in units if a.part][:-1] == [b.part[0] for b in units[1:] if b.part]
    assert read_folder("opensubtitles", tmp_path).texts == whole
