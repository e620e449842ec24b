"""WARC and ARC files in their true format: what is read and what is left out."""

from __future__ import annotations

import gzip
import os
import zlib
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from tagarela_dagster.corpus.sources.warc import collection_of
from tagarela_dagster.recipe.sources import Source
from tests.corpus.sources.web_pages import PAGE, PARAGRAPH, members, read

MIRROR = Path(os.environ.get("TAGARELA_MIRROR", Path(__file__).parents[4] / "shared" / "data"))


@pytest.mark.parametrize("gz", [True, False])
def test_a_page_becomes_a_document_without_its_menus(tmp_path: Path, gz: bool) -> None:
    members(tmp_path / "a.warc", {}, gz=gz)
    (document,), rejected = read(tmp_path / "a.warc")
    assert rejected == []
    assert document.native_id == "20100301120000/http://www.exemplo.pt/0"
    assert document.title == "A biblioteca"
    assert document.date == date(2010, 3, 1)
    assert document.meta["published"] == "2009-05-04"
    assert document.text.count("A biblioteca municipal abre") == 3
    assert "Contactos" not in document.text
    assert "direitos reservados" not in document.text
    assert document.meta["captured"] == "20100301120000"
    assert document.meta["encoding"] == "utf-8"
    assert document.meta["record"].startswith("<urn:uuid:")


def test_records_that_are_no_sound_page_are_left_out_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    members(
        path,
        {"kind": "warcinfo", "body": "isPartOf: FAWP12\r\n"},
        {},
        {"status": "404 Not Found"},
        {"status": "302 Found", "body": b""},
        {"type": "image/png", "body": b"\x89PNG"},
        {"type": "", "body": b"%PDF-1.4"},
        {"kind": "metadata", "body": "via: x", "record_type": "application/warc-fields"},
        {"body": "<html><head><title>Vazia</title></head><body></body></html>"},
        {"kind": "resource", "record_type": "text/html"},
    )
    documents, rejected = read(path)
    assert [d.url for d in documents] == ["http://www.exemplo.pt/1", "http://www.exemplo.pt/8"]
    assert {d.meta["collection"] for d in documents} == {"FAWP12"}
    assert Counter(r.reason for r in rejected) == {
        "not_a_response": 2,
        "status_404": 1,
        "status_302": 1,
        "not_html": 2,
        "no_text": 1,
    }
    assert not any(r.quarantined for r in rejected)


def test_encodings_are_found_whatever_the_page_declares(tmp_path: Path) -> None:
    latin = PAGE.encode("cp1252")
    named = PAGE.replace("<head>", '<head><meta charset="iso-8859-1">')
    path = tmp_path / "a.warc.gz"
    members(
        path,
        {"body": latin, "type": "text/html; charset=ISO-8859-1"},
        {"body": named.encode("cp1252"), "type": "text/html"},
        {"body": latin, "type": "text/html; charset=utf-8"},
        {"body": PAGE, "type": "text/html; charset=iso-8859-1"},
        {"body": PAGE.encode("utf-16"), "type": "text/html"},
        {"body": PAGE.encode().replace("à procura".encode(), b"\xe0 procura", 1)},
    )
    documents, rejected = read(path)
    assert rejected == []
    assert [d.meta["encoding"] for d in documents][:2] == ["cp1252", "cp1252"]
    assert [d.meta["encoding"] for d in documents][3:] == ["utf-8", "utf-16", "utf-8"]
    assert [d.meta.get("decode_errors", 0) for d in documents] == [0, 0, 0, 0, 0, 1]
    assert all("às nove horas" in d.text for d in documents)


def test_bytes_that_are_no_text_are_quarantined_as_wrongly_encoded(tmp_path: Path) -> None:
    body = b"<html><body><p>" + bytes(range(128, 256)) * 4 + b"</p></body></html>"
    members(tmp_path / "a.warc.gz", {"body": body, "type": "text/html; charset=utf-8"}, {})
    documents, (rejected,) = read(tmp_path / "a.warc.gz")
    assert len(documents) == 1
    assert (rejected.reason, rejected.quarantined, rejected.offset) == ("encoding", True, "byte 0")


def test_transfer_and_content_encodings_are_undone_within_bounds(tmp_path: Path) -> None:
    packed = gzip.compress(PAGE.encode())
    raw_deflate = zlib.compressobj(wbits=-15)
    deflated = raw_deflate.compress(PAGE.encode()) + raw_deflate.flush()
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PAGE.encode()), PAGE.encode())
    path = tmp_path / "a.warc.gz"
    members(
        path,
        {"body": packed, "http": [("Content-Encoding", "gzip")]},
        {"body": deflated, "http": [("Content-Encoding", "deflate")]},
        {"body": chunked, "http": [("Transfer-Encoding", "chunked")]},
        {"body": PAGE, "http": [("Content-Encoding", "br")]},
        {"body": b"\x0b\x02\x80abc", "http": [("Content-Encoding", "br")]},
        {"body": packed[:60], "http": [("Content-Encoding", "gzip")]},
        {"body": gzip.compress(bytes(11_000_000)), "http": [("Content-Encoding", "gzip")]},
    )
    documents, rejected = read(path)
    assert len(documents) == 4
    assert [r.reason for r in rejected] == ["content_encoding", "truncated", "bomb"]
    assert all(r.quarantined for r in rejected)


def test_a_page_beyond_the_payload_bound_is_quarantined_and_not_held(tmp_path: Path) -> None:
    source = Source(
        reader="arquivo_pt", path="x", license="x", options={"max_payload_bytes": 5_000}
    )
    members(tmp_path / "a.warc.gz", {"body": PAGE + "x" * 10_000}, {})
    documents, (rejected,) = read(tmp_path / "a.warc.gz", source)
    assert len(documents) == 1
    assert (rejected.reason, rejected.quarantined) == ("too_large", True)
    assert rejected.bytes > 10_000


def test_an_unknown_option_is_an_error_that_names_it(tmp_path: Path) -> None:
    members(tmp_path / "a.warc.gz", {})
    source = Source(reader="arquivo_pt", path="x", license="x", options={"max_pay": 1})
    with pytest.raises(ValueError, match="max_pay"):
        read(tmp_path / "a.warc.gz", source)


def test_a_file_gzipped_as_a_whole_is_read_too(tmp_path: Path) -> None:
    plain, path = tmp_path / "a.warc", tmp_path / "b.warc.gz"
    members(plain, {}, {}, {}, gz=False)
    path.write_bytes(gzip.compress(plain.read_bytes()))
    documents, rejected = read(path)
    assert (len(documents), rejected) == (3, [])


def test_extracted_text_of_a_crawl_is_taken_as_it_is(tmp_path: Path) -> None:
    members(
        tmp_path / "a.warc.wet.gz",
        {"kind": "conversion", "record_type": "text/plain", "body": PARAGRAPH},
    )
    (document,), _ = read(tmp_path / "a.warc.wet.gz")
    assert document.text == PARAGRAPH.strip()


def test_the_collection_is_taken_from_the_folder_or_the_crawler_s_prefix() -> None:
    assert collection_of("2010/AWP8/IAH-20080321003331-00121-p11.arquivo.pt.arc.gz") == "AWP8"
    assert collection_of("2010/IAH-20080321003331-00121-p11.arquivo.pt.arc.gz") == "IAH"
    assert collection_of("2010/pagina.warc.gz") is None


@pytest.mark.mirror
def test_a_real_crawl_of_a_book_gives_its_pages() -> None:
    path = MIRROR / "corpus" / "web" / "livro-curso-r.warc.gz"
    if not path.is_file():
        pytest.skip(f"no mirror: {path} is absent; set TAGARELA_MIRROR")
    documents, rejected = read(path)
    assert len({d.native_id for d in documents}) == 79
    assert Counter(r.reason for r in rejected) == {"not_a_response": 1, "no_text": 1}
