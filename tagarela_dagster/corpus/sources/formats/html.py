"""Saved web pages: main text through the extractor of all web sources."""

from __future__ import annotations

from collections.abc import Iterator

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.extraction import ExtractionError, extract_html
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part, no_text


def read(part: Part) -> Iterator[Document | Rejected]:
    """The document of a page; reasons of ``extract_html``, and ``no_text``."""
    data = part.data()
    if not data.strip():
        raise no_text(len(data), "the file is empty")
    try:
        page = extract_html(data)
    except ExtractionError as error:
        excerpt = data[:200].decode("utf-8", "replace")
        raise FormatError(error.reason, error.detail, size=len(data), excerpt=excerpt) from error
    if not page.text:
        raise no_text(len(data), "the page has no main text")
    meta = {"encoding": page.encoding} if page.encoding != "utf-8" else {}
    yield Document(part.native_id, page.text, date=page.date, title=page.title, meta=meta)
