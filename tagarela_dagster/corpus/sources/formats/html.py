"""Saved web pages: main text through the extractor of all web sources."""

from __future__ import annotations

from collections.abc import Iterator

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.extraction import Failure, Page
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part, no_text
from tagarela_dagster.corpus.sources.web.pool import extract_pages


def read(part: Part) -> Iterator[Document | Rejected]:
    """The document of a page; reasons of ``extract_pages``, and ``no_text``."""
    data = part.data()
    if not data.strip():
        raise no_text(len(data), "the file is empty")
    ((page, _),) = extract_pages([(Page(data), None)])
    assert page is not None
    if isinstance(page, Failure):
        excerpt = data[:200].decode("utf-8", "replace")
        raise FormatError(page.reason, page.detail, size=len(data), excerpt=excerpt)
    if not page.text:
        raise no_text(len(data), "the page has no main text")
    meta = {"encoding": page.encoding} if page.encoding != "utf-8" else {}
    yield Document(part.native_id, page.text, date=page.date, title=page.title, meta=meta)
