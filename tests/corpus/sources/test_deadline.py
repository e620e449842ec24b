"""A bound on the processor time of one record, in the reader's own process."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tagarela_dagster.corpus.sources.deadline import DeadlineError, bounded, deadline


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


def test_outside_the_main_thread_there_is_no_clock() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(bounded).result()
