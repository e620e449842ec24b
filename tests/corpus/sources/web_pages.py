"""Pages in WARC files, as a crawler writes them, and what is read of them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.corpus.sources.warc import read_warc
from tagarela_dagster.recipe.sources import Source

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
