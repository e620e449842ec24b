"""WARC and ARC files in their true format: what is read, what is left out, what is quarantined."""

from __future__ import annotations

import gzip
import os
import random
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources import extraction, gzip_members
from tagarela_dagster.corpus.sources.charset import decode
from tagarela_dagster.corpus.sources.deadline import DeadlineError, bounded, deadline
from tagarela_dagster.corpus.sources.extraction import ExtractionError, extract_html
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.corpus.sources.warc import collection_of, read_warc
from tagarela_dagster.recipe.sources import Source

MIRROR = Path(os.environ.get("TAGARELA_MIRROR", Path(__file__).parents[4] / "shared" / "data"))
SOURCE = Source(reader="arquivo_pt", path="x", license="LicenseRef-web")
PARAGRAPH = (
    "A biblioteca municipal abre às nove horas e recebe, todos os dias, leitores que vêm à"
    " procura de romances, jornais antigos e um canto sossegado para estudar. "
)
PAGE = f"""<!DOCTYPE html><html lang="pt"><head><title>A biblioteca</title>
<meta property="article:published_time" content="2009-05-04T10:00:00Z"></head><body>
<nav><a href="/">Início</a> <a href="/contactos">Contactos</a></nav>
<article><h1>A biblioteca</h1><p>{PARAGRAPH * 2}</p><p>{PARAGRAPH}</p></article>
<footer>Todos os direitos reservados</footer></body></html>"""


def members(path: Path, *records: dict[str, Any], gz: bool = True) -> list[int]:
    """Write response records as warcio writes them; the offset of each."""
    offsets = []
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=gz)
        for number, given in enumerate(records):
            offsets.append(file.tell())
            body = given.get("body", PAGE)
            payload = body if isinstance(body, bytes) else str(body).encode()
            head = [("Content-Type", str(given.get("type", "text/html; charset=utf-8")))]
            head += given.get("http", [])
            kind = str(given.get("kind", "response"))
            http = StatusAndHeaders(str(given.get("status", "200 OK")), head, protocol="HTTP/1.1")
            url = str(given.get("url", f"http://www.exemplo.pt/{number}"))
            writer.write_record(
                writer.create_warc_record(
                    url,
                    kind,
                    payload=BytesIO(payload),
                    http_headers=http if kind == "response" else None,
                    warc_content_type=str(given.get("record_type", "")),
                    warc_headers_dict={"WARC-Date": f"2010-03-0{number + 1}T12:00:00Z"},
                )
            )
    return offsets


def read(path: Path, source: Source = SOURCE) -> tuple[list[Document], list[Rejected]]:
    records = list(read_warc(RawFile(path, path.name, path.stat().st_size), source))
    return (
        [record for record in records if isinstance(record, Document)],
        [record for record in records if isinstance(record, Rejected)],
    )


@pytest.mark.parametrize("gz", [True, False])
def test_a_page_becomes_a_document_without_its_menus(tmp_path: Path, gz: bool) -> None:
    members(tmp_path / "a.warc", {}, gz=gz)
    (document,), rejected = read(tmp_path / "a.warc")
    assert rejected == []
    assert document.native_id == "20100301120000/http://www.exemplo.pt/0"
    assert document.title == "A biblioteca"
    assert document.date == date(2009, 5, 4)
    assert document.text.count("A biblioteca municipal abre") == 3
    assert "Contactos" not in document.text
    assert "direitos reservados" not in document.text
    assert document.meta["captured"] == "20100301120000"
    assert document.meta["encoding"] == "utf-8"
    assert document.meta["date_of"] == "page"
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
    body = b"<html><body><p>" + bytes(range(128, 256)) * 40 + b"</p></body></html>"
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


def test_a_truncated_member_costs_its_own_record_only(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    offsets = members(path, {}, {}, {})
    data = path.read_bytes()
    path.write_bytes(data[: offsets[2] - 100] + data[offsets[2] :])
    documents, (rejected,) = read(path)
    assert [d.url for d in documents] == ["http://www.exemplo.pt/0", "http://www.exemplo.pt/2"]
    assert (rejected.reason, rejected.offset) == ("truncated", f"byte {offsets[1]}")
    assert rejected.bytes == offsets[2] - offsets[1] - 100
    assert rejected.quarantined


def test_a_file_cut_at_its_end_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    offsets = members(path, {}, {})
    path.write_bytes(path.read_bytes()[:-7])
    documents, (rejected,) = read(path)
    assert len(documents) == 1
    assert (rejected.reason, rejected.offset) == ("truncated", f"byte {offsets[1]}")


def test_a_member_with_altered_bytes_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    offsets = members(path, {"body": PAGE + random.Random(0).randbytes(200_000).hex()}, {})
    data = bytearray(path.read_bytes())
    data[offsets[1] - 6] ^= 0xFF
    path.write_bytes(data)
    documents, (rejected,) = read(path)
    assert [d.url for d in documents] == ["http://www.exemplo.pt/1"]
    assert (rejected.reason, rejected.offset) == ("corrupt", "byte 0")


def test_garbage_between_members_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    offsets = members(path, {}, {})
    data = path.read_bytes()
    junk = b"\x00" * 50 + b"\x1f\x8b\x08junk"
    path.write_bytes(data[: offsets[1]] + junk + data[offsets[1] :])
    documents, (rejected,) = read(path)
    assert len(documents) == 2
    assert (rejected.reason, rejected.bytes) == ("garbage", len(junk))
    assert rejected.offset == f"byte {offsets[1]}"


def test_a_gzip_bomb_is_left_before_it_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gzip_members, "BOMB_BYTES", 1_000_000)
    path = tmp_path / "a.warc.gz"
    members(path, {})
    bomb = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 30000000\r\n\r\n" + bytes(
        30_000_000
    )
    good = path.read_bytes()
    path.write_bytes(gzip.compress(bomb) + good)
    documents, (rejected,) = read(path)
    assert len(documents) == 1
    assert (rejected.reason, rejected.offset) == ("bomb", "byte 0")
    assert rejected.bytes == path.stat().st_size - len(good)


def test_a_file_gzipped_as_a_whole_is_read_too(tmp_path: Path) -> None:
    plain, path = tmp_path / "a.warc", tmp_path / "b.warc.gz"
    members(plain, {}, {}, {}, gz=False)
    path.write_bytes(gzip.compress(plain.read_bytes()))
    documents, rejected = read(path)
    assert (len(documents), rejected) == (3, [])


def test_a_plain_file_goes_on_at_the_next_record_after_a_wrong_length(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    offsets = members(path, {}, {}, {}, {}, gz=False)
    data = path.read_bytes()
    records = [data[a:b] for a, b in zip(offsets, [*offsets[1:], len(data)], strict=True)]
    block = records[1].split(b"\r\n\r\n", 1)[1]
    length = b"Content-Length: %d\r\n" % (len(block) - 4)
    assert length in records[1]
    records[1] = records[1].replace(length, b"Content-Length: 40\r\n")
    records[3] = records[3][:-200]
    path.write_bytes(b"".join(records))
    documents, rejected = read(path)
    assert [d.url for d in documents] == ["http://www.exemplo.pt/0", "http://www.exemplo.pt/2"]
    assert [(r.reason, r.offset) for r in rejected] == [
        ("bad_length", f"byte {offsets[1]}"),
        ("truncated", f"byte {sum(map(len, records[:3]))}"),
    ]


def test_a_bad_record_header_is_quarantined_with_its_member(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    members(path, {})
    good = path.read_bytes()
    bad = gzip.compress(b"GARC/1.0\r\nfoo: bar\r\n\r\n")
    no_length = gzip.compress(b"WARC/1.0\r\nWARC-Type: response\r\n\r\nola")
    no_url = gzip.compress(
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 4\r\n"
        b"Content-Type: text/html\r\n\r\nola!\r\n\r\n"
    )
    endless = gzip.compress(b"WARC/1.0\r\n" + b"a: " + b"x" * 2_000_000)
    path.write_bytes(bad + no_length + no_url + endless + good)
    documents, rejected = read(path)
    assert len(documents) == 1
    assert [r.reason for r in rejected] == ["bad_record", "bad_record", "no_url", "bad_record"]
    assert [r.offset for r in rejected][:2] == ["byte 0", f"byte {len(bad)}"]


def test_a_file_that_is_no_archive_and_an_empty_file_are_quarantined(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(random.Random(0).randbytes(30_000))
    (tmp_path / "b.warc.gz").write_bytes(b"")
    assert [r.reason for r in read(tmp_path / "a.warc")[1]] == ["bad_record"]
    assert [r.reason for r in read(tmp_path / "b.warc.gz")[1]] == ["empty_file"]


def test_extracted_text_of_a_crawl_is_taken_as_it_is(tmp_path: Path) -> None:
    members(
        tmp_path / "a.warc.wet.gz",
        {"kind": "conversion", "record_type": "text/plain", "body": PARAGRAPH},
    )
    (document,), _ = read(tmp_path / "a.warc.wet.gz")
    assert document.text == PARAGRAPH.strip()


def test_deadline_stops_what_uses_too_much_processor_time() -> None:
    def burn() -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue

    assert bounded()
    with pytest.raises(DeadlineError), deadline(0.05):
        burn()
    with deadline(5):
        time.sleep(0)


def test_a_page_that_never_ends_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = extraction._read_page

    def endless(html: str, *args: object) -> object:
        while "sem fim" in html:
            pass
        return real(html, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(extraction, "_read_page", endless)
    source = Source(reader="arquivo_pt", path="x", license="x", options={"deadline_s": 0.2})
    members(tmp_path / "a.warc.gz", {"body": PAGE.replace("jornais", "sem fim")}, {})
    documents, (rejected,) = read(tmp_path / "a.warc.gz", source)
    assert len(documents) == 1
    assert (rejected.reason, rejected.quarantined) == ("deadline", True)


def test_a_page_with_a_forest_of_tags_is_refused_without_a_clock() -> None:
    with pytest.raises(ExtractionError) as error:
        extract_html("<html><body>" + "<b>" * (extraction.MAX_TAGS + 1))
    assert error.value.reason == "too_many_tags"


def test_deeply_nested_and_fragmentary_pages_do_not_crash() -> None:
    assert extract_html("<div>" * 100_000).text == ""
    assert extract_html(b"").text == ""
    assert "biblioteca municipal" in extract_html(f"<p>{PARAGRAPH * 3}</p>").text


def test_a_date_after_the_capture_is_not_believed() -> None:
    assert extract_html(PAGE, latest=date(2009, 5, 4)).date == date(2009, 5, 4)
    assert extract_html(PAGE, latest=date(2009, 5, 3)).date is None


def test_decoding_counts_what_it_cannot_read() -> None:
    assert decode("ação".encode("cp1252"), ["nonsense", "latin-1"]).text == "ação"
    assert decode("\ufeffolá".encode()).text == "olá"
    assert decode("a\ufffdb".encode()).errors == 0
    assert decode(("á" * 40).encode() + b"\xe7", []).errors == 1


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
    assert len({d.native_id for d in documents}) == 76
    assert Counter(r.reason for r in rejected) == {"not_a_response": 1, "no_text": 4}


def test_outside_the_main_thread_pages_are_extracted_without_a_clock() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(bounded).result()
        assert "biblioteca municipal" in pool.submit(extract_html, PAGE).result().text
