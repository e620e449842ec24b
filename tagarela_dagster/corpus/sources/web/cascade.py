"""Which records of a web archive are pages worth extracting: the cheap questions first.

In the order in which they are asked, with the reason that a record is left out under:

1. What the record is: ``not_a_response``, ``status_NNN``, ``not_html``; quarantined ``too_large``,
   ``no_url``.
2. What its address says: ``url_rules.py`` (``url_dropped``, ``url_adult``, …).
3. Its body without HTTP's encodings; quarantined ``content_encoding``, ``bomb``, ``truncated``.
4. Whether its bytes hold any Portuguese: ``raw_language.py`` (``other_language``).
5. Who does not want it used: ``opt_out.py`` (``opt_out_robots``, …).
"""

from __future__ import annotations

import datetime
import re
from contextlib import suppress
from pathlib import Path

from pydantic import Field

from tagarela_dagster.corpus.sources.charset import decode
from tagarela_dagster.corpus.sources.extraction import Extracted, Page
from tagarela_dagster.corpus.sources.warc_body import BodyError, decode_body
from tagarela_dagster.corpus.sources.warc_records import RawRecord
from tagarela_dagster.corpus.sources.web.archived_robots import robots_records
from tagarela_dagster.corpus.sources.web.opt_out import OptOut, OptOutOptions
from tagarela_dagster.corpus.sources.web.pool import DEADLINE_S, MEMORY_BYTES
from tagarela_dagster.corpus.sources.web.raw_language import evidence
from tagarela_dagster.corpus.sources.web.url_rules import UrlOptions, UrlRules
from tagarela_dagster.recipe.base import Section

HTML_TYPES = ("text/html", "application/xhtml+xml")
VAGUE_TYPES = ("", "application/octet-stream", "no-type", "unknown", "application/http")
"""Content types that say nothing; the body's first bytes decide."""

_HTML = re.compile(rb"<\s*(?:html|!doctype\s+html|head|body)\b", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)


class WarcOptions(Section):
    """Settings of web archive sources."""

    max_payload_bytes: int = Field(default=10_000_000, ge=1_000, le=200_000_000)
    """Larger pages are left out; the largest of the Portuguese web's real pages are under 5 MB."""
    deadline_s: float = Field(default=DEADLINE_S, gt=0, le=3600)
    """Processor time for the extraction of one page."""
    memory_bytes: int = Field(default=MEMORY_BYTES, ge=50_000_000, le=64_000_000_000)
    """Memory for the extraction of one page."""
    language_guess: bool = True
    """Leave pages out whose bytes hold no paragraph of Portuguese, before they are parsed."""
    urls: UrlOptions = UrlOptions()
    opt_out: OptOutOptions = OptOutOptions()


class LeftOutError(Exception):
    """A record that gives no page; ``quarantined`` when it is damaged."""

    def __init__(self, reason: str, detail: str = "", quarantined: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.quarantined = quarantined


class Cascade:
    """The questions, asked of one archive file's records.

    Attributes:
        recorded: the opt-out signal of the page that was returned last, where the policy is to
            record it and to go on.
    """

    def __init__(self, options: WarcOptions) -> None:
        self.recorded: str | None = None
        self._options = options
        self._rules = UrlRules(options.urls)
        self._opt_out = OptOut(options.opt_out)

    def read_robots(self, path: Path) -> None:
        """Take every robots.txt in the file; it may stand behind its host's pages."""
        if not self._opt_out.ignored:
            for record in robots_records(path, self._options.max_payload_bytes):
                self._add_robots(record)

    def _add_robots(self, record: RawRecord) -> None:
        # A body that cannot be decoded is booked as that when its turn comes.
        with suppress(BodyError):
            body = decode_body(record, self._options.max_payload_bytes)
            self._opt_out.add_robots(record.url, body)

    def page(self, record: RawRecord, captured: datetime.date | None) -> Page | Extracted:
        """The record's page, or its text when it is text already.

        Args:
            captured: day of the capture.

        Raises:
            LeftOutError: with a reason of the module's list.
        """
        content_type = self._judge_record(record)
        media_type = _media_type(content_type)
        if reason := self._rules.reason(record.url):
            raise LeftOutError(reason)
        try:
            body = decode_body(record, self._options.max_payload_bytes)
        except BodyError as error:
            raise LeftOutError(error.reason, str(error), quarantined=True) from error
        plain = _is_text(record, media_type)
        if not plain and media_type in VAGUE_TYPES and not _HTML.search(body[:4096]):
            raise LeftOutError("not_html", media_type or "no content type")
        self._judge_body(record, body)
        match = _CHARSET.search(content_type)
        charset = match.group(1) if match else None
        if plain:
            decoded = decode(body, [charset])
            return Extracted(decoded.text.strip(), None, None, decoded.encoding, decoded.errors)
        return Page(body, record.url, charset, captured)

    def _judge_record(self, record: RawRecord) -> str:
        """Let a whole page of a known address through; its content type."""
        if record.kind not in ("response", "resource", "conversion"):
            raise LeftOutError("not_a_response", record.kind)
        if record.status not in (None, "200"):
            code = record.status if re.fullmatch(r"\d{3}", record.status or "") else "unknown"
            raise LeftOutError(f"status_{code}")
        headers = record.http or record.headers
        content_type = headers.get("content-type", "")
        media_type = _media_type(content_type)
        if not _is_text(record, media_type) and media_type not in HTML_TYPES + VAGUE_TYPES:
            raise LeftOutError("not_html", media_type)
        if not record.complete:
            limit = f"{record.length} bytes, at most {self._options.max_payload_bytes}"
            raise LeftOutError("too_large", limit, quarantined=True)
        if not record.url:
            raise LeftOutError("no_url", "the record names no address", quarantined=True)
        return content_type

    def _judge_body(self, record: RawRecord, body: bytes) -> None:
        self.recorded = None
        if self._options.language_guess:
            found = evidence(body, record.http.get("content-language", ""))
            if found.is_other:
                raise LeftOutError("other_language", f"reads like {found.best_guess}")
        if not self._opt_out.ignored:
            signal = self._opt_out.signal(record.url, record.http, body)
            if signal and self._opt_out.options.policy == "honour":
                raise LeftOutError(signal)
            self.recorded = signal


def _media_type(content_type: str) -> str:
    return content_type.split(";")[0].strip().lower()


def _is_text(record: RawRecord, media_type: str) -> bool:
    """Whether a crawl's extracted text is what the record holds (WET files)."""
    return record.kind == "conversion" and media_type == "text/plain"
