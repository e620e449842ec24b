"""Text of a page: bounds of size, dates, encodings."""

from __future__ import annotations

from datetime import date

from tagarela_dagster.corpus.sources import extraction
from tagarela_dagster.corpus.sources.charset import decode
from tagarela_dagster.corpus.sources.extraction import Extracted, Failure, Page, extract
from tests.corpus.sources.web_pages import PAGE, PARAGRAPH


def text_of(page: Page) -> str:
    found = extract(page)
    assert isinstance(found, Extracted)
    return found.text


def test_a_page_with_a_forest_of_tags_is_refused_without_a_clock() -> None:
    found = extract(Page("<html><body>" + "<b>" * (extraction.MAX_TAGS + 1)))
    assert isinstance(found, Failure)
    assert found.reason == "too_many_tags"


def test_deeply_nested_and_fragmentary_pages_do_not_crash() -> None:
    assert text_of(Page("<div>" * 100_000)) == ""
    assert text_of(Page(b"")) == ""
    assert "biblioteca municipal" in text_of(Page(f"<p>{PARAGRAPH * 3}</p>"))


def test_a_date_after_the_capture_is_not_believed() -> None:
    found = [extract(Page(PAGE, latest=date(2009, 5, day))) for day in (4, 3)]
    assert [page.date for page in found if isinstance(page, Extracted)] == [
        date(2009, 5, 4),
        None,
    ]


def test_decoding_counts_what_it_cannot_read() -> None:
    assert decode("ação".encode("cp1252"), ["nonsense", "latin-1"]).text == "ação"
    assert decode("\ufeffolá".encode()).text == "olá"
    assert decode("a\ufffdb".encode()).errors == 0
    assert decode(("á" * 40).encode() + b"\xe7", []).errors == 1


def test_a_page_of_which_hardly_anything_is_found_gets_a_second_look() -> None:
    # The text stands in a block that the first extractor takes for a side bar.
    hidden = f"<div class='sidebar'><div>{PARAGRAPH * 4}</div></div>"
    found = extract(Page(f"<html><body><div class='x'>Olá.</div>{hidden}</body></html>"))
    assert isinstance(found, Extracted)
    assert found.thorough
    assert not extract(Page(PAGE)).thorough  # type: ignore[union-attr]
