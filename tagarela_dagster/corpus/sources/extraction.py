"""HTML to main text, through trafilatura: the one extractor of every web source.

``favor_precision`` leaves menus and boilerplate out, ``fast`` skips the second extractors (the
same text on almost all real pages at twice the speed; the others, of which hardly anything was
found, get the whole treatment), and trafilatura's selections are made without XPath
(``web/selectors.py``: the same elements). Comments are left out: on the Portuguese web they are
where spam and personal data live. Dates come from the page's markup and address only (guesses from
the running text cost as much as the extraction and are often wrong).

Readers don't call this module but ``web/pool.py``, which runs it in a process that may die.
Measured in docs/extraction.md.
"""

from __future__ import annotations

import datetime
import logging
import re
from dataclasses import dataclass

import htmldate
import trafilatura
from lxml.html import HtmlElement
from trafilatura import core
from trafilatura.htmlprocessing import convert_tags, prune_unwanted_nodes, tree_cleaning
from trafilatura.main_extractor import extract_content
from trafilatura.settings import Extractor
from trafilatura.utils import load_html
from trafilatura.xml import xmltotxt

from tagarela_dagster.corpus.sources.charset import Decoded, decode
from tagarela_dagster.corpus.sources.web.selectors import quicken, selectors

MAX_TAGS = 400_000
"""Pages with more tags than this are generated, not written; bounds the tree without a clock."""
MAX_ERROR_SHARE = 0.05
"""Above this share of undecodable characters, a page is wrongly encoded rather than damaged."""
MIN_COVERAGE = 0.1
"""Below this share of the page's text, the text found is checked by the second extractors. They
changed 5 of 1,091 real pages, all of a coverage under 0.01 (docs/extraction.md)."""
LAST_DATE = "2099-12-31"
"""Latest date that htmldate looks for; its default, the day it runs on, changes results."""

_OPTIONS = Extractor(
    output_format="python", fast=True, precision=True, comments=False, with_metadata=False
)
_META_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.I
)
_XML_CHARSET = re.compile(rb"^\s*<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{2,40})")
_ROOT = re.compile(r"<\s*(?:html|!doctype)", re.I)

# What these libraries log about a page is counted here as a rejection with its reason.
for _name in ("trafilatura", "htmldate"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Page:
    """One page to extract.

    Attributes:
        html: bytes are decoded by byte order mark, ``charset``, ``<meta>``, detection.
        url: address of the page.
        charset: encoding named by the HTTP header.
        latest: day of the capture; a later date in the page is not believed.
    """

    html: bytes | str
    url: str | None = None
    charset: str | None = None
    latest: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class Extracted:
    """Main text of a page ("" when it has none), its title and its own date.

    Attributes:
        encoding: encoding the bytes were read in; "str" when text was given.
        decode_errors: characters that could not be decoded.
        thorough: whether trafilatura's second extractors were asked too.
    """

    text: str
    title: str | None
    date: datetime.date | None
    encoding: str = "str"
    decode_errors: int = 0
    thorough: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a page could not be extracted; ``reason`` is the short machine name."""

    reason: str
    detail: str


def extract(page: Page) -> Extracted | Failure:
    """Extract the main text of one page.

    Failures: ``encoding`` (too many undecodable characters), ``too_many_tags``,
    ``extraction_failed`` (the extractor raised). ``MemoryError`` is let through: what the parser
    holds after one is unknown.
    """
    html = page.html
    decoded = (
        decode_html(html, page.charset) if isinstance(html, bytes) else Decoded(html, "str", 0)
    )
    if decoded.error_share > MAX_ERROR_SHARE:
        detail = f"{decoded.errors} characters cannot be decoded as {decoded.encoding}"
        return Failure("encoding", detail)
    tags = decoded.text.count("<")
    if tags > MAX_TAGS:
        return Failure("too_many_tags", f"{tags} tags, at most {MAX_TAGS}")
    text = decoded.text
    if not _ROOT.search(text[:4096]):
        # Pages of the 1990s often have no root element; trafilatura takes them for no HTML.
        text = f"<html><body>{text}</body></html>"
    quicken()
    try:
        main, title, date, thorough = _read_page(text, page.url, page.latest)
    except MemoryError:
        raise
    except Exception as error:
        return Failure("extraction_failed", f"{type(error).__name__}: {error}"[:500])
    return Extracted(main, title, date, decoded.encoding, decoded.errors, thorough)


def _read_page(
    html: str, url: str | None, latest: datetime.date | None
) -> tuple[str, str | None, datetime.date | None, bool]:
    tree = load_html(html)
    if tree is None:
        return "", None, None, False
    # The extraction takes the tree apart.
    title, day = _title(tree), _date(tree, url)
    text, coverage = main_text(tree)
    thorough = coverage < MIN_COVERAGE
    if thorough:
        text = _thorough_text(html)
    if not text:
        return "", None, None, thorough
    return text, title, None if day and latest and day > latest else day, thorough


def _thorough_text(html: str) -> str:
    """The main text with trafilatura's second extractors, at twice the price."""
    found = trafilatura.bare_extraction(html, favor_precision=True, include_comments=False)
    return "" if found is None or isinstance(found, dict) else (found.text or "").strip()


def main_text(tree: HtmlElement) -> tuple[str, float]:
    """The page's main text, and its share of all text outside menus; ``tree`` is used up.

    What ``trafilatura.bare_extraction`` does with ``fast``, ``favor_precision`` and without
    comments, step by step, but for three copies of the tree that serve its other modes
    (``trafilatura/core.py``, ``trafilatura_sequence``, 2.3.1). The texts are compared with
    trafilatura's own in tests/corpus/sources/web/test_selectors.py.
    """
    is_forum = core._forum_thread_page(tree)
    for name in ("RAW_TREE_PRUNE_XPATH", "REMOVE_COMMENTS_AND_LISTS_XPATH"):
        tree = prune_unwanted_nodes(tree, selectors(name))
    tree = tree_cleaning(tree, _OPTIONS)
    everything = tree.text_content()
    tree = convert_tags(tree, _OPTIONS)
    if not is_forum:
        tree = prune_unwanted_nodes(tree, selectors("REMOVE_COMMENTS_XPATH"))
    body, text = extract_content(tree, _OPTIONS)
    # Indentation is no text, but to count without it takes time that few pages need.
    if len(text) < MIN_COVERAGE * len(everything):
        everything = " ".join(everything.split())
    coverage = len(text) / len(everything) if everything else 1.0
    if len(text) < _OPTIONS.min_output_size:
        return "", coverage
    return xmltotxt(body, _OPTIONS.formatting).strip(), coverage


def _title(tree: HtmlElement) -> str | None:
    """The title for sharing where there is one (without the site's name), else the page's."""
    shared = [e.get("content", "") for e in tree.iter("meta") if e.get("property") == "og:title"]
    titles = (str(text) for element in tree.iter("title") for text in element.itertext())
    tidied = (" ".join(found.split()) for found in (*shared, *titles))
    return next((title for title in tidied if title), None)


def _date(tree: HtmlElement, url: str | None) -> datetime.date | None:
    found = htmldate.find_date(
        tree, extensive_search=False, original_date=True, url=url, max_date=LAST_DATE
    )
    try:
        return datetime.date.fromisoformat(found) if found else None
    except ValueError:
        return None


def decode_html(html: bytes, charset: str | None = None) -> Decoded:
    """Decode a page: ``charset`` of the HTTP header first, then what the page itself declares."""
    head = html[:4096]
    named = [
        match.group(1) for match in (_XML_CHARSET.search(head), _META_CHARSET.search(head)) if match
    ]
    return decode(html, [charset, *(name.decode("ascii") for name in named)])
