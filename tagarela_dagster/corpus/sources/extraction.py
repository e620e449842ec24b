"""HTML to main text, through trafilatura: the one extractor of every web source.

``favor_precision`` leaves menus and boilerplate out, ``fast`` skips the second extractors (the
same text on real pages at twice the speed, docs/log.md). Comments are left out: on the Portuguese
web they are where spam and personal data live.
"""

from __future__ import annotations

import datetime
import logging
import re
from dataclasses import dataclass

import trafilatura

from tagarela_dagster.corpus.sources.charset import Decoded, decode
from tagarela_dagster.corpus.sources.deadline import DeadlineError, deadline

DEADLINE_S = 30.0
"""Processor time for one page; real pages take 0.01 to 1 s, book-length ones a few seconds."""
MAX_TAGS = 400_000
"""Pages with more tags than this are generated, not written; bounds the tree without a clock."""
MAX_ERROR_SHARE = 0.05
"""Above this share of undecodable characters, a page is wrongly encoded rather than damaged."""

_META_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.I
)
_XML_CHARSET = re.compile(rb"^\s*<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{2,40})")
_ROOT = re.compile(r"<\s*(?:html|!doctype)", re.I)

# What these libraries log about a page is counted here as a rejection with its reason.
for _name in ("trafilatura", "htmldate"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class ExtractionError(Exception):
    """A page that could not be extracted; ``reason`` is the short machine name."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Extracted:
    """Main text of a page ("" when it has none), its title and its own date.

    Attributes:
        encoding: encoding the bytes were read in; "str" when text was given.
        decode_errors: characters that could not be decoded.
    """

    text: str
    title: str | None
    date: datetime.date | None
    encoding: str = "str"
    decode_errors: int = 0


def extract_html(
    html: bytes | str,
    url: str | None = None,
    *,
    charset: str | None = None,
    deadline_s: float = DEADLINE_S,
) -> Extracted:
    """Extract the main text of one page.

    Args:
        html: the page; bytes are decoded by byte order mark, ``charset``, ``<meta>``, detection.
        url: address of the page.
        charset: encoding named by the HTTP header.
        deadline_s: seconds of processor time (only in the main thread, see ``deadline``).

    Raises:
        ExtractionError: ``encoding`` (too many undecodable characters), ``too_many_tags``,
            ``deadline``, ``extraction_failed`` (the extractor raised).
    """
    page = decode_html(html, charset) if isinstance(html, bytes) else Decoded(html, "str", 0)
    if page.error_share > MAX_ERROR_SHARE:
        raise ExtractionError(
            "encoding", f"{page.errors} characters cannot be decoded as {page.encoding}"
        )
    tags = page.text.count("<")
    if tags > MAX_TAGS:
        raise ExtractionError("too_many_tags", f"{tags} tags, at most {MAX_TAGS}")
    text = page.text
    if not _ROOT.search(text[:4096]):
        # Pages of the 1990s often have no root element; trafilatura takes them for no HTML.
        text = f"<html><body>{text}</body></html>"
    try:
        with deadline(deadline_s):
            found = trafilatura.bare_extraction(
                text,
                url=url,
                fast=True,
                favor_precision=True,
                include_comments=False,
                with_metadata=True,
            )
    except DeadlineError as error:
        raise ExtractionError("deadline", str(error)) from error
    except Exception as error:
        raise ExtractionError("extraction_failed", f"{type(error).__name__}: {error}") from error
    if found is None or isinstance(found, dict):
        return Extracted("", None, None, page.encoding, page.errors)
    return Extracted(
        text=(found.text or "").strip(),
        title=found.title or None,
        date=_iso_date(found.date),
        encoding=page.encoding,
        decode_errors=page.errors,
    )


def decode_html(html: bytes, charset: str | None = None) -> Decoded:
    """Decode a page: ``charset`` of the HTTP header first, then what the page itself declares."""
    head = html[:4096]
    named = [
        match.group(1) for match in (_XML_CHARSET.search(head), _META_CHARSET.search(head)) if match
    ]
    return decode(html, [charset, *(name.decode("ascii") for name in named)])


def _iso_date(value: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(value) if value else None
    except ValueError:
        return None
