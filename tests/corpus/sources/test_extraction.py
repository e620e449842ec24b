"""Text of a page: bounds of time and size, dates, encodings."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from tagarela_dagster.corpus.sources import extraction
from tagarela_dagster.corpus.sources.charset import decode
from tagarela_dagster.corpus.sources.deadline import DeadlineError, bounded, deadline
from tagarela_dagster.corpus.sources.extraction import ExtractionError, extract_html
from tagarela_dagster.recipe.sources import Source
from tests.corpus.sources.web_pages import PAGE, PARAGRAPH, members, read


def test_deadline_stops_what_uses_too_much_processor_time() -> None:
    def burn() -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue

    assert bounded()
    with pytest.raises(DeadlineError), deadline(0.05):
        burn()
    with deadline(5):
        time.sleep(0)


def test_a_page_that_never_ends_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = extraction._read_page

    def endless(html: str, *args: object) -> object:
        while "sem fim" in html:
            pass
        return real(html, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(extraction, "_read_page", endless)
    source = Source(reader="arquivo_pt", path="x", license="x", options={"deadline_s": 0.2})
    members(tmp_path / "a.warc.gz", {"body": PAGE.replace("jornais", "sem fim")}, {})
    documents, (rejected,) = read(tmp_path / "a.warc.gz", source)
    assert len(documents) == 1
    assert (rejected.reason, rejected.quarantined) == ("deadline", True)


def test_a_page_with_a_forest_of_tags_is_refused_without_a_clock() -> None:
    with pytest.raises(ExtractionError) as error:
        extract_html("<html><body>" + "<b>" * (extraction.MAX_TAGS + 1))
    assert error.value.reason == "too_many_tags"


def test_deeply_nested_and_fragmentary_pages_do_not_crash() -> None:
    assert extract_html("<div>" * 100_000).text == ""
    assert extract_html(b"").text == ""
    assert "biblioteca municipal" in extract_html(f"<p>{PARAGRAPH * 3}</p>").text


def test_a_date_after_the_capture_is_not_believed() -> None:
    assert extract_html(PAGE, latest=date(2009, 5, 4)).date == date(2009, 5, 4)
    assert extract_html(PAGE, latest=date(2009, 5, 3)).date is None


def test_decoding_counts_what_it_cannot_read() -> None:
    assert decode("ação".encode("cp1252"), ["nonsense", "latin-1"]).text == "ação"
    assert decode("\ufeffolá".encode()).text == "olá"
    assert decode("a\ufffdb".encode()).errors == 0
    assert decode(("á" * 40).encode() + b"\xe7", []).errors == 1


def test_outside_the_main_thread_pages_are_extracted_without_a_clock() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(bounded).result()
        assert "biblioteca municipal" in pool.submit(extract_html, PAGE).result().text
