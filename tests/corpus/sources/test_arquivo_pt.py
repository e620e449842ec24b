"""Arquivo.pt's ARC files in their true format, beside WARC files."""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources import arquivo_pt, registry
from tagarela_dagster.corpus.sources.unit import RawFile, Unit
from tagarela_dagster.recipe.sources import Source

SOURCE = Source(reader="arquivo_pt", path="x", license="LicenseRef-web")
NAME = "IAH-20080321003331-00121-p11.arquivo.pt.arc.gz"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n"
STORY = (
    "O comboio da tarde chegou à estação com dez minutos de atraso, e os passageiros que"
    " esperavam no cais subiram devagar, cumprimentando o revisor pelo nome. "
)
PAGE = f"<html><head><title>O comboio</title></head><body><p>{STORY * 3}</p></body></html>"


def file_header() -> bytes:
    """The first record of an ARC file, version 1 (Internet Archive's ARC file format)."""
    body = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n\n"
    line = b"filedesc://%s 0.0.0.0 20080321003331 text/plain %d\n" % (NAME.encode(), len(body))
    return line + body + b"\n"


def arc_record(
    url: str, body: bytes, content_type: str = "text/html", head: bytes | None = None
) -> bytes:
    if head is None:
        head = OK % b"text/html; charset=iso-8859-1"
    line = f"{url} 192.168.1.7 20080321003335 {content_type} {len(head) + len(body)}\n"
    return line.encode() + head + body + b"\n"


def read(*paths: Path) -> tuple[list[Document], list[Rejected]]:
    files = [RawFile(path, path.name, path.stat().st_size) for path in paths]
    units = registry.plan(files, SOURCE)
    records = [record for unit in units for record in arquivo_pt.read(unit, SOURCE)]
    return (
        [record for record in records if isinstance(record, Document)],
        [record for record in records if isinstance(record, Rejected)],
    )


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_an_arc_file_gives_its_pages(tmp_path: Path, pack: object) -> None:
    records = [
        file_header(),
        arc_record("http://www.cp.pt/tarde.html", PAGE.encode("latin-1")),
        arc_record(
            "http://www.cp.pt/com espaço.html", PAGE.encode("latin-1"), "text/html; charset=x"
        ),
        arc_record("http://www.cp.pt/x", b"", head=b"HTTP/1.1 404 Not Found\r\n\r\n"),
        arc_record(
            "http://www.cp.pt/a.gif",
            b"GIF89a",
            head=b"HTTP/1.0 200 OK\r\nContent-Type: image/gif\r\n\r\n",
        ),
        arc_record("dns:www.cp.pt", b"20080321\nwww.cp.pt. 86400 IN A 1.2.3.4\n", "text/dns", b""),
        arc_record("http://www.cp.pt/antiga.html", PAGE.encode("latin-1"), head=b""),
    ]
    path = tmp_path / (NAME if pack is gzip.compress else NAME.removesuffix(".gz"))
    path.write_bytes(b"".join(pack(record) for record in records))  # type: ignore[operator]
    documents, rejected = read(path)
    assert [d.native_id for d in documents] == [
        "20080321003335/http://www.cp.pt/tarde.html",
        "20080321003335/http://www.cp.pt/com espaço.html",
        "20080321003335/http://www.cp.pt/antiga.html",
    ]
    first = documents[0]
    assert first.text == (STORY * 3).strip()
    assert (first.title, first.date) == ("O comboio", date(2008, 3, 21))
    assert first.meta == {
        "captured": "20080321003335",
        "collection": "IAH",
        "encoding": "cp1252",
    }
    assert Counter(r.reason for r in rejected) == {
        "not_a_response": 1,
        "status_404": 1,
        "not_html": 2,
    }
    assert not any(r.quarantined for r in rejected)


def test_a_truncated_arc_member_costs_its_own_record_only(tmp_path: Path) -> None:
    members = [
        gzip.compress(record)
        for record in (
            file_header(),
            arc_record("http://a.pt/1", PAGE.encode("latin-1")),
            arc_record("http://a.pt/2", PAGE.encode("latin-1")),
            arc_record("http://a.pt/3", PAGE.encode("latin-1")),
        )
    ]
    members[2] = members[2][:-90]
    (tmp_path / NAME).write_bytes(b"".join(members))
    documents, rejected = read(tmp_path / NAME)
    assert [d.url for d in documents] == ["http://a.pt/1", "http://a.pt/3"]
    quarantined = [r for r in rejected if r.quarantined]
    start = len(members[0]) + len(members[1])
    assert [(r.reason, r.offset, r.bytes) for r in quarantined] == [
        ("truncated", f"byte {start}", len(members[2]))
    ]


def test_arc_and_warc_files_of_a_collection_are_read_together(tmp_path: Path) -> None:
    arc = tmp_path / NAME
    arc.write_bytes(
        gzip.compress(file_header())
        + gzip.compress(arc_record("http://a.pt/1", PAGE.encode("latin-1")))
    )
    warc = tmp_path / "WEB-20200521142230-p5-00000.warc.gz"
    with warc.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        http = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
        record = writer.create_warc_record(
            "https://a.pt/2", "response", payload=BytesIO(PAGE.encode()), http_headers=http
        )
        writer.write_record(record)
    index = tmp_path / "AWP8.cdxj"
    index.write_text("pt,a)/1 20080321003335 {}\n")
    documents, rejected = read(arc, warc, index)
    assert [d.url for d in documents] == ["http://a.pt/1", "https://a.pt/2"]
    assert {d.meta["collection"] for d in documents} == {"IAH", "WEB"}
    assert [(r.file, r.reason) for r in rejected if r.reason == "not_an_archive"] == [
        ("AWP8.cdxj", "not_an_archive")
    ]


def test_the_plan_keeps_file_order_and_names_units_by_their_first_file(tmp_path: Path) -> None:
    files = [RawFile(tmp_path / n, n, 20_000_000) for n in ("c.arc.gz", "a.arc.gz", "b.arc.gz")]
    units = registry.plan(files, SOURCE)
    assert [unit.name for unit in units] == ["a.arc.gz", "b.arc.gz", "c.arc.gz"]
    assert isinstance(units[0], Unit)
