"""WARC and ARC files to documents: which records are pages, their text, what is left out.

Order of the rules: cheap ones first, because extraction costs more than everything else. Options
of the source (``options:`` in the recipe) are the fields of ``WarcOptions``.
"""

from __future__ import annotations

import datetime
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydantic import Field
from warcio.bufferedreaders import ChunkedDataReader

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.charset import decode
from tagarela_dagster.corpus.sources.damage import Damage
from tagarela_dagster.corpus.sources.extraction import DEADLINE_S, ExtractionError, extract_html
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.corpus.sources.warc_records import RawRecord, read_records
from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.sources import Source

HTML_TYPES = ("text/html", "application/xhtml+xml")
VAGUE_TYPES = ("", "application/octet-stream", "no-type", "unknown", "application/http")
"""Content types that say nothing; the body's first bytes decide."""

_HTML = re.compile(rb"<\s*(?:html|!doctype\s+html|head|body)\b", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_TIMESTAMP = re.compile(r"\d+")
_COLLECTION = re.compile(r"^(.+?)-\d{14,17}(?:-|\.)")


class WarcOptions(Section):
    """Settings of web archive sources."""

    max_payload_bytes: int = Field(default=10_000_000, ge=1_000, le=200_000_000)
    """Larger pages are left out; the largest of the Portuguese web's real pages are under 5 MB."""
    deadline_s: float = Field(default=DEADLINE_S, gt=0, le=3600)
    """Processor time for the extraction of one page."""


class _LeftOutError(Exception):
    def __init__(self, reason: str, detail: str = "", quarantined: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.quarantined = quarantined


@dataclass(frozen=True, slots=True)
class Capture:
    """What identifies a captured page."""

    url: str
    timestamp: str

    @property
    def native_id(self) -> str:
        """``timestamp/url``, the key of a capture in Arquivo.pt's replay and CDX.

        The same page captured at another time is another document (deduplication decides
        between them); the record's own UUID would change when an archive is repackaged, and ARC
        records have none.
        """
        return f"{self.timestamp}/{self.url}"

    @property
    def date(self) -> datetime.date | None:
        """Day of the capture."""
        try:
            return datetime.datetime.strptime(self.timestamp[:8], "%Y%m%d").date()
        except ValueError:
            return None


def read_warc(file: RawFile, source: Source) -> Iterator[Document | Rejected]:
    """Every record of a WARC or ARC file (gzipped or not) as a document or a rejection.

    Left out (not quarantined): ``not_a_response``, ``status_NNN``, ``not_html``, ``no_text``.
    Quarantined: what ``warc_records`` could not read (``truncated``, ``corrupt``, ``bomb``,
    ``bad_record``, ``bad_length``, ``garbage``, ``empty_file``), ``too_large``, ``no_url``,
    ``content_encoding``, and what ``extract_html`` raises.
    """
    options = WarcOptions.model_validate(source.options)
    collection = collection_of(file.name)
    for record in read_records(file.path, options.max_payload_bytes):
        if isinstance(record, Damage):
            yield Rejected(file.name, record.offset, record.reason, record.detail, record.bytes)
            continue
        if record.kind in ("warcinfo", "arc_header"):
            collection = _declared_collection(record) or collection
        try:
            yield _document(record, collection, options)
        except _LeftOutError as left_out:
            url = record_url(record) or ""
            yield Rejected(
                file.name,
                record.offset,
                left_out.reason,
                f"{url} {left_out.detail}".strip(),
                record.length,
                left_out.quarantined,
                record.body[:200].decode("utf-8", "replace"),
            )


def _document(record: RawRecord, collection: str | None, options: WarcOptions) -> Document:
    if record.kind not in ("response", "resource", "conversion"):
        raise _LeftOutError("not_a_response", record.kind)
    if record.status not in (None, "200"):
        code = record.status if re.fullmatch(r"\d{3}", record.status or "") else "unknown"
        raise _LeftOutError(f"status_{code}")
    content_type = _content_type(record)
    media_type = content_type.split(";")[0].strip().lower()
    plain = record.kind == "conversion" and media_type == "text/plain"
    if not plain and media_type not in HTML_TYPES + VAGUE_TYPES:
        raise _LeftOutError("not_html", media_type)
    if not record.complete:
        limit = f"{record.length} bytes, at most {options.max_payload_bytes}"
        raise _LeftOutError("too_large", limit, quarantined=True)
    capture = Capture(record_url(record) or "", _timestamp(record))
    if not capture.url:
        raise _LeftOutError("no_url", "the record names no address", quarantined=True)
    body = decode_body(record, options.max_payload_bytes)
    if not plain and media_type in VAGUE_TYPES and not _HTML.search(body[:4096]):
        raise _LeftOutError("not_html", media_type or "no content type")
    meta: dict[str, Any] = {"captured": capture.timestamp}
    for key, value in (
        ("collection", collection),
        ("digest", record.headers.get("warc-payload-digest")),
        ("record", record.headers.get("warc-record-id")),
    ):
        if value:
            meta[key] = value
    match = _CHARSET.search(content_type)
    charset = match.group(1) if match else None
    if plain:
        decoded = decode(body, [charset])
        text, title, date = decoded.text.strip(), None, None
        meta["encoding"], errors = decoded.encoding, decoded.errors
    else:
        try:
            page = extract_html(
                body,
                capture.url,
                charset=charset,
                latest=capture.date,
                deadline_s=options.deadline_s,
            )
        except ExtractionError as error:
            raise _LeftOutError(error.reason, error.detail, quarantined=True) from error
        text, title, date = page.text, page.title, page.date
        meta["encoding"], errors = page.encoding, page.decode_errors
    if errors:
        meta["decode_errors"] = errors
    if not text:
        raise _LeftOutError("no_text", "the page has no main text")
    meta["date_of"] = "page" if date else "capture"
    return Document(
        native_id=capture.native_id,
        text=text,
        url=capture.url,
        date=date or capture.date,
        title=title,
        meta=meta,
    )


def decode_body(record: RawRecord, limit: int) -> bytes:
    """The body without transfer and content encoding, at most ``limit`` bytes."""
    body = record.body
    if record.http.get("transfer-encoding", "").lower() == "chunked":
        body = ChunkedDataReader(BytesIO(body)).read()
    encoding = record.http.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity", "none") or body.lstrip()[:1] == b"<":
        # Some crawlers store the decoded body and keep the header.
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise _LeftOutError("content_encoding", f"cannot decode '{encoding}'", quarantined=True)
    for bits in (32 + zlib.MAX_WBITS, -zlib.MAX_WBITS):
        decompressor = zlib.decompressobj(bits)
        try:
            decoded = decompressor.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(decoded) > limit:
            raise _LeftOutError("bomb", f"expands beyond {limit} bytes", quarantined=True)
        if not decompressor.eof:
            raise _LeftOutError("truncated", f"the {encoding} body is cut", quarantined=True)
        return decoded
    raise _LeftOutError("content_encoding", f"the body is no {encoding}", quarantined=True)


def record_url(record: RawRecord) -> str | None:
    """Address of the captured page."""
    return record.headers.get("uri" if record.arc else "warc-target-uri") or None


def collection_of(name: str) -> str | None:
    """Collection from a file's path: its folder below the snapshot, or Heritrix's file prefix."""
    *folders, base = name.split("/")
    if len(folders) > 1:
        return folders[-1]
    match = _COLLECTION.match(base)
    return match.group(1) if match else None


def _declared_collection(record: RawRecord) -> str | None:
    for line in record.body[:20_000].decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "ispartof" and value.strip():
            return value.strip()
    return None


def _timestamp(record: RawRecord) -> str:
    """Capture time as 14 digits, as far as they are given."""
    value = record.headers.get("archive-date" if record.arc else "warc-date", "")
    return "".join(_TIMESTAMP.findall(value))[:14]


def _content_type(record: RawRecord) -> str:
    if record.http:
        return record.http.get("content-type", "")
    return record.headers.get("content-type", "")
