"""HTML to main text, through trafilatura: the one extractor of every web source.

``favor_precision`` leaves menus and boilerplate out, ``fast`` skips the second extractors (the
same text on real pages at twice the speed, docs/log.md). Comments are left out: on the Portuguese
web they are where spam and personal data live. Dates come from the page's markup and address only
(guesses from the running text cost as much as the extraction and are often wrong).
"""

from __future__ import annotations

import datetime
import logging
import re
from dataclasses import dataclass

import htmldate
import trafilatura
from lxml.html import HtmlElement
from trafilatura.utils import load_html

from tagarela_dagster.corpus.sources.charset import Decoded, decode
from tagarela_dagster.corpus.sources.deadline import DeadlineError, deadline

DEADLINE_S = 30.0
"""Processor time for one page; real pages take 0.01 to 1 s, book-length ones a few seconds."""
MAX_TAGS = 400_000
"""Pages with more tags than this are generated, not written; bounds the tree without a clock."""
MAX_ERROR_SHARE = 0.05
"""Above this share of undecodable characters, a page is wrongly encoded rather than damaged."""
LAST_DATE = "2099-12-31"
"""Latest date that htmldate looks for; its default, the day it runs on, changes results."""

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
    latest: datetime.date | None = None,
    deadline_s: float = DEADLINE_S,
) -> Extracted:
    """Extract the main text of one page.

    Args:
        html: the page; bytes are decoded by byte order mark, ``charset``, ``<meta>``, detection.
        url: address of the page.
        charset: encoding named by the HTTP header.
        latest: day of the capture; a later date in the page is not believed.
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
            main, title, date = _read_page(text, url, latest)
    except DeadlineError as error:
        raise ExtractionError("deadline", str(error)) from error
    except Exception as error:
        raise ExtractionError("extraction_failed", f"{type(error).__name__}: {error}") from error
    return Extracted(main, title, date, page.encoding, page.errors)


def _read_page(
    html: str, url: str | None, latest: datetime.date | None
) -> tuple[str, str | None, datetime.date | None]:
    tree = load_html(html)
    if tree is None:
        return "", None, None
    found = trafilatura.bare_extraction(
        tree, url=url, fast=True, favor_precision=True, include_comments=False
    )
    text = "" if found is None or isinstance(found, dict) else (found.text or "").strip()
    if not text:
        return "", None, None
    day = htmldate.find_date(
        tree,
        extensive_search=False,
        original_date=True,
        url=url,
        max_date=LAST_DATE,
    )
    date = _iso_date(day)
    return text, _title(tree), None if date and latest and date > latest else date


def _title(tree: HtmlElement) -> str | None:
    """The title for sharing where there is one (without the site's name), else the page's."""
    shared = tree.xpath("//meta[@property='og:title']/@content")
    titles = (" ".join(str(found).split()) for found in (*shared, *tree.xpath("//title//text()")))
    return next((title for title in titles if title), None)


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
