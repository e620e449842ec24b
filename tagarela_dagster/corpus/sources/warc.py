"""WARC and ARC files to documents: which records are pages, their text, what is left out.

The cascade of ``web/``: rules over records, addresses and opt-out signals, then a guess at the
language of the bytes, and what is left is extracted in a process of its own. Options of the
source (``options:`` in the recipe) are the fields of ``web.cascade.WarcOptions``.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.damage import Damage
from tagarela_dagster.corpus.sources.extraction import Extracted, Failure, Page
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.corpus.sources.warc_records import RawRecord, read_records
from tagarela_dagster.corpus.sources.web.cascade import Cascade, LeftOutError, WarcOptions
from tagarela_dagster.corpus.sources.web.pool import Limits, extract_pages
from tagarela_dagster.recipe.sources import Source

_TIMESTAMP = re.compile(r"\d+")
_COLLECTION = re.compile(r"^(.+?)-\d{14,17}(?:-|\.)")


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


@dataclass(slots=True)
class _Candidate:
    """A record on its way: what its document or its rejection will say."""

    file: str
    offset: str
    bytes: int
    excerpt: str
    capture: Capture
    meta: dict[str, Any] = field(default_factory=dict)

    def rejected(self, reason: str, detail: str = "", quarantined: bool = False) -> Rejected:
        """The rejection of this record."""
        detail = f"{self.capture.url} {detail}".strip()
        return Rejected(
            self.file, self.offset, reason, detail, self.bytes, quarantined, self.excerpt
        )


def read_warc(file: RawFile, source: Source) -> Iterator[Document | Rejected]:
    """Every record of a WARC or ARC file (gzipped or not) as a document or a rejection.

    Left out (not quarantined): the reasons of ``web/cascade.py``, and ``no_text``. Quarantined:
    what ``warc_records`` could not read (``truncated``, ``corrupt``, ``bomb``, ``bad_record``,
    ``bad_length``, ``garbage``, ``empty_file``), what the cascade could not, what
    ``extraction.extract`` fails with, and ``deadline``, ``out_of_memory``, ``crashed``
    (``web/pool.py``).
    """
    options = WarcOptions.model_validate(source.options)
    limits = Limits(options.deadline_s, options.memory_bytes)
    for answer, item in extract_pages(_pages(file, options), limits):
        if not isinstance(item, _Candidate):
            yield item
        elif isinstance(answer, Failure):
            yield item.rejected(answer.reason, answer.detail, quarantined=True)
        else:
            assert answer is not None
            yield _document(item, answer)


def _pages(
    file: RawFile, options: WarcOptions
) -> Iterator[tuple[Page | None, _Candidate | Document | Rejected]]:
    """Pages that are worth extracting, and everything else as it is to be yielded."""
    cascade = Cascade(options)
    cascade.read_robots(file.path)
    collection = collection_of(file.name)
    for record in read_records(file.path, options.max_payload_bytes):
        if isinstance(record, Damage):
            where = (file.name, record.offset)
            yield None, Rejected(*where, record.reason, record.detail, record.bytes)
            continue
        if record.kind in ("warcinfo", "arc_header"):
            collection = _declared_collection(record) or collection
        excerpt = record.body[:200].decode("utf-8", "replace")
        capture = Capture(record.url, _timestamp(record))
        candidate = _Candidate(file.name, record.offset, record.length, excerpt, capture)
        try:
            page = cascade.page(record, capture.date)
        except LeftOutError as left_out:
            reason, detail = left_out.reason, left_out.detail
            yield None, candidate.rejected(reason, detail, left_out.quarantined)
            continue
        _describe(candidate, record, collection)
        if signal := cascade.recorded:
            candidate.meta["opt_out"] = signal
        if isinstance(page, Extracted):
            yield None, _document(candidate, page)
        else:
            yield page, candidate


def _describe(candidate: _Candidate, record: RawRecord, collection: str | None) -> None:
    candidate.meta["captured"] = candidate.capture.timestamp
    for key, value in (
        ("collection", collection),
        ("digest", record.headers.get("warc-payload-digest")),
        ("record", record.headers.get("warc-record-id")),
    ):
        if value:
            candidate.meta[key] = value


def _document(candidate: _Candidate, page: Extracted) -> Document | Rejected:
    """The document of an extracted page. Its date is the capture's, by which the newest capture
    of an address is found; the page's own date is ``published`` in ``meta``."""
    if not page.text:
        return candidate.rejected("no_text", "the page has no main text")
    meta = candidate.meta | {"encoding": page.encoding}
    if page.decode_errors:
        meta["decode_errors"] = page.decode_errors
    if page.thorough:
        meta["thorough"] = True
    if page.date:
        meta["published"] = page.date.isoformat()
    return Document(
        native_id=candidate.capture.native_id,
        text=page.text,
        url=candidate.capture.url,
        date=candidate.capture.date,
        title=page.title,
        meta=meta,
    )


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
