"""Files of any format, loose, compressed and in archives, sound and damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from tests.corpus.sources.reading import Outcome, read_folder

TEXT = "A maré subiu devagar.\n\nOs barcos voltaram ao cais antes da noite."
OTHER = "O comboio das sete chegou com atraso e ninguém se queixou."
SRT = (
    "1\n00:00:01,000 --> 00:00:02,500\nBoa noite, doutor.\n\n"
    "2\n00:00:03,000 --> 00:00:04,000\nEntre.\n"
)


def read(folder: Path, **source: object) -> Outcome:
    return read_folder("files", folder, **source)


def tar(path: Path, members: dict[str, bytes], compression: str = "") -> None:
    with tarfile.open(path, f"w:{compression}") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_a_text_file_is_one_document_named_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "conto.txt").write_text(f"\ufeff{TEXT}\r\n\r\n\r\n\r\nFim.  \n", encoding="utf-8")
    (document,) = read(tmp_path).documents
    assert document.native_id == "conto.txt"
    assert document.text == f"{TEXT}\n\nFim."


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.compress),
    ],
)
def test_compressed_files_are_read_by_what_is_inside(
    tmp_path: Path, suffix: str, pack: object
) -> None:
    (tmp_path / f"conto.txt{suffix}").write_bytes(pack(TEXT.encode()))  # type: ignore[operator]
    assert read(tmp_path).texts == {f"conto.txt{suffix}": TEXT}


@pytest.mark.parametrize("compression", ["", "gz", "xz", "bz2"])
def test_members_of_a_tar_archive_are_documents_of_their_own(
    tmp_path: Path, compression: str
) -> None:
    name = f"livros.tar.{compression}".rstrip(".")
    members = {"contos/mar.txt": TEXT.encode(), "contos/trem.md": f"# Trem\n\n{OTHER}".encode()}
    tar(tmp_path / name, members, compression)
    assert read(tmp_path).texts == {
        f"{name}!contos/mar.txt": TEXT,
        f"{name}!contos/trem.md": f"Trem\n\n{OTHER}",
    }


def test_members_of_a_zip_archive_are_documents_of_their_own(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "livros.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("contos/", b"")
        archive.writestr("contos/mar.txt", TEXT.encode())
    assert read(tmp_path).texts == {"livros.zip!contos/mar.txt": TEXT}


def test_native_ids_leave_out_the_snapshot(tmp_path: Path) -> None:
    for snapshot in ("2025", "2026"):
        (tmp_path / snapshot / "contos").mkdir(parents=True)
        (tmp_path / snapshot / "contos" / "mar.txt").write_text(TEXT, encoding="utf-8")
    by_folder = read(tmp_path)
    assert [d.native_id for d in by_folder.documents] == ["contos/mar.txt"] * 2
    by_glob = read(tmp_path, snapshots={"tudo": ["**/*.txt"]})
    assert list(by_glob.texts) == ["2025/contos/mar.txt", "2026/contos/mar.txt"]


def test_unknown_formats_are_counted_and_leftovers_of_systems_are_not(tmp_path: Path) -> None:
    tar(
        tmp_path / "a.tar",
        {
            "foto.jpg": b"\xff\xd8\xff",
            "mar.txt": TEXT.encode(),
            "__MACOSX/mar.txt": b"x",
            ".DS_Store": b"x",
            "._mar.txt": b"x",
            "Thumbs.db": b"x",
        },
    )
    (tmp_path / "carta.docx").write_bytes(b"PK\x03\x04xxxx")
    (tmp_path / "LEIAME").write_text(TEXT, encoding="utf-8")
    (tmp_path / "desktop.ini").write_text("x", encoding="utf-8")
    outcome = read(tmp_path)
    assert outcome.texts == {"a.tar!mar.txt": TEXT}
    assert outcome.reasons == {
        "a.tar!foto.jpg byte 0": "-unknown_format",
        "carta.docx byte 0": "-unknown_format",
        "LEIAME byte 0": "-unknown_format",
    }


def test_the_recipes_format_reads_files_of_any_extension(tmp_path: Path) -> None:
    (tmp_path / "LEIAME").write_text(f"# Mar\n\n{OTHER}", encoding="utf-8")
    assert read(tmp_path, format="markdown").texts == {"LEIAME": f"Mar\n\n{OTHER}"}


def test_only_the_members_that_are_asked_for_are_read(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", {"pt/mar.txt": TEXT.encode(), "en/sea.txt": b"The sea."})
    assert list(read(tmp_path, options={"members": ["pt/*"]}).texts) == ["a.tar!pt/mar.txt"]


def test_empty_files_are_left_out_and_unreadable_ones_quarantined(tmp_path: Path) -> None:
    (tmp_path / "antigo.txt").write_bytes(TEXT.encode("cp1252"))
    (tmp_path / "vazio.txt").write_bytes(b"")
    (tmp_path / "brancos.txt").write_bytes(b" \n\n\t\n")
    (tmp_path / "binario.txt").write_bytes(bytes(range(256)) * 8)
    outcome = read(tmp_path)
    assert outcome.texts == {"antigo.txt": TEXT}
    assert outcome.documents[0].meta == {"encoding": "cp1252"}
    assert outcome.reasons == {
        "binario.txt byte 0": "encoding",
        "brancos.txt byte 0": "-no_text",
        "vazio.txt byte 0": "-no_text",
    }


def test_damage_costs_one_file_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(TEXT.encode() * 50)[:-20])
    (tmp_path / "b.txt").write_text(OTHER, encoding="utf-8")
    tar(tmp_path / "c.tar", {"../fora.txt": b"x", "dentro.txt": TEXT.encode()})
    tar(tmp_path / "d.tar", {"um.txt": TEXT.encode(), "dois.txt": TEXT.encode() * 100})
    whole = (tmp_path / "d.tar").read_bytes()
    (tmp_path / "d.tar").write_bytes(whole[:3000])
    outcome = read(tmp_path)
    assert outcome.texts == {"b.txt": OTHER, "c.tar!dentro.txt": TEXT, "d.tar!um.txt": TEXT}
    assert sorted(outcome.reasons.values()) == ["truncated", "truncated", "unsafe_member"]


def test_a_bomb_and_a_file_that_is_too_long_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bomba.txt.gz").write_bytes(gzip.compress(b"a" * 70_000_000))
    (tmp_path / "longo.txt").write_bytes(b"casa " * 1000)
    outcome = read(tmp_path, options={"max_file_bytes": 4000})
    assert outcome.documents == []
    assert outcome.reasons == {"bomba.txt.gz byte 0": "too_large", "longo.txt byte 0": "too_large"}
    bomb = read(tmp_path, options={"members": []}, snapshots={"s": ["bomba.txt.gz"]})
    assert [r for r in bomb.reasons.values() if r == "bomb"] == ["bomb"]


def test_licence_and_variety_may_go_by_file_name(tmp_path: Path) -> None:
    tar(tmp_path / "guia.tar", {"pt-pt/a.txt": TEXT.encode(), "pt-br/a.txt": OTHER.encode()})
    outcome = read(
        tmp_path,
        options={
            "licenses": {"guia.tar!pt-pt/*": "CC-BY-4.0"},
            "varieties": {"*/pt-pt/*": "pt-PT", "*pt-pt*": "pt-PT", "guia.tar*": "pt-BR"},
        },
    )
    found = [(d.license, d.variety) for d in outcome.documents]
    assert found == [("CC-BY-4.0", "pt-PT"), (None, "pt-BR")]


def test_text_may_hold_a_document_a_line(tmp_path: Path) -> None:
    (tmp_path / "frases.txt").write_bytes(f"{OTHER}\n\n".encode() + "À noite.\n".encode("cp1252"))
    outcome = read(tmp_path, options={"document_per": "line"})
    assert outcome.texts == {"frases.txt:1": OTHER, "frases.txt:3": "À noite."}


def test_tokenised_articles_become_prose_again(tmp_path: Path) -> None:
    line = (
        "A `` 'Unidade N.º 4 '' ' foi uma escola ( RAAF ) . == História == Durante a guerra , "
        "treinou pilotos . == Ver também == * Asa N.º 76 Categoria : Escolas\n"
    )
    (tmp_path / "wiki.txt").write_text(line, encoding="utf-8")
    (document,) = read(tmp_path, options={"tokenised": True, "document_per": "line"}).documents
    assert document.text == (
        "A Unidade N.º 4 foi uma escola (RAAF).\n\nHistória\n\nDurante a guerra, treinou pilotos."
        "\n\nVer também\n\n- Asa N.º 76"
    )


def test_wrapped_lines_are_joined_when_the_recipe_says_so(tmp_path: Path) -> None:
    wrapped = (
        "Era conveniente ao romance que o leitor ficasse muito tempo sem saber\n"
        "quem era a viúva. Mas por outro lado, sem a apresentação dela, seria o\n"
        "autor obrigado a longas digressões, que encheriam o papel sem adian-\n"
        "tar a ação.\n"
    ) * 4
    (tmp_path / "livro.txt").write_text(wrapped, encoding="utf-8")
    assert read(tmp_path).documents[0].text.count("\n") == 15
    (document,) = read(tmp_path, options={"unwrap": True}).documents
    assert document.text.count("\n") == 3
    assert document.text.count("sem adiantar a ação.") == 4


def test_text_once_read_as_central_european_is_put_right(tmp_path: Path) -> None:
    law = "A Constituição e as disposições do art. 1º não se aplicam à administração. " * 5
    (tmp_path / "lei.txt").write_text(law.encode("cp1252").decode("cp1250"), encoding="utf-8")
    (tmp_path / "outra.txt").write_text(f"{law} Ceaușescu, Băsescu.", encoding="utf-8")
    assert "Constituiçăo" in read(tmp_path).documents[0].text
    outcome = read(tmp_path, options={"misread_as": "cp1250"})
    assert outcome.documents[0].text == law.strip()
    assert outcome.documents[1].text.endswith("Ceaușescu, Băsescu.")
    with pytest.raises(ValueError, match="'klingon' is no encoding"):
        read(tmp_path, options={"misread_as": "klingon"})


def test_saved_pages_go_through_the_extractor(tmp_path: Path) -> None:
    paragraph = "<p>" + "O mercado abriu cedo, e os feirantes montaram as bancas. " * 6 + "</p>"
    page = f"<html><head><title>Feira</title></head><body><article>{paragraph * 3}</article></body>"
    (tmp_path / "feira.html").write_text(page, encoding="utf-8")
    (tmp_path / "nada.html").write_text("<html><body></body></html>", encoding="utf-8")
    outcome = read(tmp_path)
    (document,) = outcome.documents
    assert (document.native_id, document.title) == ("feira.html", "Feira")
    assert document.text.startswith("O mercado abriu cedo")
    assert outcome.reasons == {"nada.html byte 0": "-no_text"}


def test_subtitles_are_dialogue(tmp_path: Path) -> None:
    (tmp_path / "filme.srt").write_text(SRT, encoding="utf-8")
    (tmp_path / "falso.srt").write_text("Nada de legendas.", encoding="utf-8")
    outcome = read(tmp_path)
    assert outcome.texts == {"filme.srt": "Boa noite, doutor.\nEntre."}
    assert outcome.reasons == {"falso.srt byte 0": "not_srt"}


def warc() -> bytes:
    sentence = "O rio corre devagar até à foz, onde os pescadores consertam as redes. "
    body = f"<html><body><article><p>{sentence * 8}</p></article></body></html>"
    http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{body}".encode()
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://exemplo.pt/rio\r\n"
        "WARC-Date: 2020-05-01T10:00:00Z\r\nWARC-Record-ID: <urn:uuid:1>\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


def test_web_archives_are_read_loose_and_inside_other_archives(tmp_path: Path) -> None:
    packed = gzip.compress(warc())
    (tmp_path / "a.warc.gz").write_bytes(packed)
    tar(tmp_path / "b.tar", {"rastreio/c.warc.gz": packed, "d.warc": warc()})
    outcome = read(tmp_path)
    assert outcome.rejected == []
    assert [d.native_id for d in outcome.documents] == ["20200501100000/http://exemplo.pt/rio"] * 3
    assert len({d.text for d in outcome.documents}) == 1


def test_options_of_web_archives_reach_their_reader(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(warc())
    outcome = read(tmp_path, options={"warc": {"max_payload_bytes": 1000}})
    assert [r.reason for r in outcome.rejected] == []
    with pytest.raises(ValueError, match="max_payload"):
        read(tmp_path, options={"warc": {"max_payload": 1}})


def test_an_unknown_option_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    with pytest.raises(ValueError, match="unwrapp"):
        read(tmp_path, options={"unwrapp": True})


def test_xml_goes_by_its_root_element(tmp_path: Path) -> None:
    tei = "<TEI xmlns='http://www.tei-c.org/ns/1.0'><text><body><p>Um.</p></body></text></TEI>"
    docbook = "<section xmlns='http://docbook.org/ns/docbook'><para>Dois.</para></section>"
    jats = "<article article-type='x' xml:lang='pt'><body><p>Três.</p></body></article>"
    (tmp_path / "a.xml").write_text(f"<?xml version='1.0'?><!-- nota -->{tei}", encoding="utf-8")
    (tmp_path / "b.xml").write_text(docbook, encoding="utf-8")
    (tmp_path / "c.xml").write_text(f"<!DOCTYPE article [<!ENTITY x 'y'>]>{jats}", encoding="utf-8")
    (tmp_path / "d.xml").write_text("<catalogo><item>Quatro.</item></catalogo>", encoding="utf-8")
    outcome = read(tmp_path)
    assert outcome.texts == {"a.xml": "Um.", "b.xml": "Dois.", "c.xml": "Três."}
    assert outcome.reasons == {"d.xml byte 0": "-unknown_format"}
