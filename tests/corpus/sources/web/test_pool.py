"""The extraction process: what kills it costs one page, and never the order of the others."""

from __future__ import annotations

import datetime
import io
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagarela_dagster.corpus.sources.extraction import Extracted, Failure, Page
from tagarela_dagster.corpus.sources.web import pool
from tagarela_dagster.corpus.sources.web.pool import Extractor, Limits, _Answers, extract_pages
from tests.corpus.sources.web_pages import PAGE

MISBEHAVE = "tests.corpus.sources.web.misbehaving:misbehave"
LIMITS = Limits(deadline_s=0.5, memory_bytes=200_000_000, function=MISBEHAVE)
ROOT = Path(__file__).parents[4]


def outcomes(*words: str) -> list[tuple[str, int]]:
    items = [(Page(PAGE.replace("jornais", word)), number) for number, word in enumerate(words)]
    return [
        (answer.reason if isinstance(answer, Failure) else "text", number)
        for answer, number in extract_pages(items, LIMITS)
        if answer is not None
    ]


def test_a_page_that_kills_its_process_is_the_only_one_that_is_lost() -> None:
    words = [
        "livros",
        "SEGFAULT",
        "cartas",
        "HANG",
        "ALLOCATE",
        "EXIT",
        "mapas",
        "SEGFAULT",
        "atlas",
    ]
    assert outcomes(*words) == [
        ("text", 0),
        ("crashed", 1),
        ("text", 2),
        ("deadline", 3),
        ("out_of_memory", 4),
        ("crashed", 5),
        ("text", 6),
        ("crashed", 7),
        ("text", 8),
    ]


def test_a_process_that_answers_with_garbage_and_lives_on_is_ended() -> None:
    assert outcomes("livros", "GARBAGE", "mapas") == [("text", 0), ("crashed", 1), ("text", 2)]


def test_what_a_library_prints_is_no_answer() -> None:
    assert outcomes("PRINT", "livros") == [("text", 0), ("text", 1)]


def test_memory_that_earlier_pages_left_held_is_not_blamed_on_a_page() -> None:
    assert outcomes(*["LEAK"] * 20) == [("text", number) for number in range(20)]


def test_items_without_a_page_keep_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_WAITING", 7)
    items = [(Page(PAGE) if n % 5 == 0 else None, n) for n in range(100)]
    answers = list(extract_pages(items))
    assert [number for _, number in answers] == list(range(100))
    assert [isinstance(answer, Extracted) for answer, _ in answers] == [
        page is not None for page, _ in items
    ]


def test_an_abandoned_reader_leaves_no_answers_for_the_next_one() -> None:
    pages = [(Page(PAGE.replace("A biblioteca", f"Página {n}")), n) for n in range(40)]
    first = extract_pages(pages)
    next(first)
    first.close()
    again = list(extract_pages(pages[30:]))
    assert [answer.title for answer, _ in again if isinstance(answer, Extracted)] == [
        f"Página {n}" for n in range(30, 40)
    ]


def test_readers_that_take_turns_do_not_mix_their_pages() -> None:
    def titles(name: str) -> list[tuple[Page, str]]:
        return [
            (Page(PAGE.replace("A biblioteca", f"{name} {n}")), f"{name} {n}") for n in range(40)
        ]

    pairs = zip(extract_pages(titles("Ana")), extract_pages(titles("Rui")), strict=True)
    for pair in pairs:
        for answer, name in pair:
            assert isinstance(answer, Extracted)
            assert answer.title == name


def test_a_process_that_cannot_start_is_an_error_and_no_quarantine() -> None:
    extractor = Extractor(Limits(function="tests.nowhere:extract"))
    with pytest.raises(RuntimeError, match="does not start"):
        list(extractor.answers([(Page(PAGE), 0)]))


def test_no_extraction_process_outlives_its_reader() -> None:
    # The page hangs outside Python, so that no thread of the child notices anything.
    script = (
        "import os, signal\n"
        "from tagarela_dagster.corpus.sources.web.pool import Limits, Extractor\n"
        "from tagarela_dagster.corpus.sources.extraction import Page\n"
        f"extractor = Extractor(Limits(1.0, 10**9, {MISBEHAVE!r}))\n"
        "extractor._send([Page('<p>HANG</p>')])\n"
        "print(extractor._child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    child = int(done.stdout)
    end = time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < end, "the extraction process outlived its reader"
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_an_answer_may_hold_extracted_text_and_nothing_that_could_act() -> None:
    page = Extracted("Texto.", "Título", datetime.date(2026, 11, 21))
    assert _Answers(io.BytesIO(pickle.dumps(page))).load() == page
    with pytest.raises(pickle.UnpicklingError, match="is no part of an answer"):
        _Answers(io.BytesIO(pickle.dumps(os.system))).load()
