"""Arquivo.pt: WARC and ARC files, a gzip member a record.

Settings of an item: ``kind`` (``page``; ``header``: the file's first record; ``empty``, ``menu``,
``not_found``, ``moved``, ``image``, ``robots``, ``request``, ``garbage``), ``design`` (``news``,
``blog``, ``old``, ``tables``), ``charset`` (of the bytes), ``says`` (the charset that page and
server declare, when another), ``mojibake`` (the text itself is broken), ``path``, ``cut`` (the
record's gzip member ends early).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from email.utils import format_datetime
from pathlib import Path

from tagarela_dagster.provenance.files import atomic_path
from tagarela_dagster.sample.formats.archive_records import (
    Capture,
    arc_header,
    arc_record,
    warc_record,
    warcinfo,
)
from tagarela_dagster.sample.formats.compression import gzip_member
from tagarela_dagster.sample.formats.context import Context
from tagarela_dagster.sample.formats.mojibake import as_garbage, as_mojibake
from tagarela_dagster.sample.formats.page import menu_page, render
from tagarela_dagster.sample.plan import Item

SITES = {
    "news": ("www.ecosdotavoro.pt", "Ecos do Távoro"),
    "blog": ("papelquadriculado.blogues.pt", "Papel Quadriculado"),
    "old": ("aldeiareal.no-portal.pt", "Aldeia Real na Net"),
    "tables": ("aldeiareal.no-portal.pt", "Aldeia Real na Net"),
}
PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
NOT_FOUND = "<html><head><title>404</title></head><body><h1>Not Found</h1></body></html>"
ROBOTS = "User-agent: *\nDisallow: /wp-admin/\n"
YEARS = {"AWP2021": 2021}
ARC_YEAR = 2008
CUT = 700
"""Bytes of a cut member that are left."""


def write(path: Path, items: Sequence[Item], context: Context) -> dict[str, str]:
    """Write one WARC or ARC file by the ending of its name."""
    arc = path.name.endswith(".arc.gz")
    year = ARC_YEAR if arc else YEARS[context.snapshot]
    ids: dict[str, str] = {}
    members = []
    for item in items:
        if item.has.get("kind") == "header":
            members.append(gzip_member(_header(path.name, f"{year}0412080000", context)))
            ids[item.label] = ""
            continue
        capture = _capture(item, context, year)
        if arc:
            record = arc_record(capture, f"193.136.{context.number(item.label, 200)}.17")
        else:
            record = _warc(item, capture, context)
        cut = item.has.get("cut", False)
        member = gzip_member(record, stored=cut)
        members.append(member[:CUT] if cut else member)
        ids[item.label] = f"{capture.timestamp}/{capture.url}"
    with atomic_path(path) as partial:
        partial.write_bytes(b"".join(members))
    return ids


def _header(name: str, started: str, context: Context) -> bytes:
    """First record of a file: what wrote it, and what it is part of."""
    if name.endswith(".arc.gz"):
        return arc_header(name.removesuffix(".gz"), started)
    return warcinfo(context.uuid(name, "warcinfo"), started, name, context.snapshot)


def _warc(item: Item, capture: Capture, context: Context) -> bytes:
    identifier = context.uuid(context.file, item.label)
    if item.has.get("kind") == "request":
        host = capture.url.split("/")[2]
        block = (
            f"GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Arquivo-web-crawler\r\n\r\n".encode()
        )
        kind, content = "request", "application/http; msgtype=request"
    else:
        block, kind, content = capture.http, "response", "application/http; msgtype=response"
    return warc_record(kind, identifier, capture.timestamp, content, block, capture.url)


def _capture(item: Item, context: Context, year: int) -> Capture:
    design = item.has.get("design", "news")
    host, site = SITES[design]
    month, day = 1 + context.number(item.label + "m", 4), 1 + context.number(item.label + "d", 28)
    date = f"{year}-{month:02d}-{day:02d}"
    second = context.number(item.label, 86_400)
    clock = f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"
    timestamp = f"{year}{month + 4:02d}{day:02d}{clock}"
    kind = item.has.get("kind", "page")
    folder = "paginas" if year == ARC_YEAR else date.replace("-", "/")
    url = f"http://{host}/" + item.has.get("path", f"{folder}/{item.label}.html")
    charset = item.has.get("charset", "utf-8")
    says = item.has.get("says", charset)
    status, media, body = "200 OK", f"text/html; charset={says}", b""
    if kind == "page":
        prose = context.prose(item)
        paragraphs = prose.paragraphs
        if item.has.get("mojibake"):
            paragraphs = [as_mojibake(paragraph) for paragraph in paragraphs]
        html = render(design, site, prose.title, paragraphs, date, prose.language, says)
        body = html.encode(charset)
    elif kind == "menu":
        body = menu_page(site, context.prose(item).lines, charset).encode(charset)
    elif kind == "garbage":
        body = b"<html><body><p>" + as_garbage(context.prose(item).text) + b"</p></body></html>"
    elif kind == "not_found":
        status, body = "404 Not Found", NOT_FOUND.encode()
    elif kind == "moved":
        status = "301 Moved Permanently"
    elif kind == "image":
        media, body = "image/gif", PIXEL
    elif kind == "robots":
        media, body = "text/plain", ROBOTS.encode()
    headers = (
        ("Date", _http_date(timestamp)),
        ("Server", "Apache"),
        *((("Location", f"http://{host}/"),) if kind == "moved" else ()),
        ("Content-Type", media),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    )
    return Capture(url, timestamp, status, headers, body)


def _http_date(timestamp: str) -> str:
    moment = datetime.datetime.strptime(timestamp, "%Y%m%d%H%M%S")
    return format_datetime(moment.replace(tzinfo=datetime.UTC), usegmt=True)
