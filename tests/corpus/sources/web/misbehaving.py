"""An extractor that does what a page asks it to, for tests of the process that it runs in."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from tagarela_dagster.corpus.sources.extraction import Extracted, Failure, Page, extract

_held: list[bytearray] = []


def misbehave(page: Page) -> Extracted | Failure:
    """Extract, or die in the way that the page names."""
    html = page.html if isinstance(page.html, str) else page.html.decode()
    if "SEGFAULT" in html:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "HANG" in html:
        # No Python handler sees a signal in here, as in a parser written in C.
        sum(range(10**12))
    if "ALLOCATE" in html:
        _held.append(bytearray(400_000_000))
    if "EXIT" in html:
        os._exit(3)
    if "GARBAGE" in html:
        # A child that has gone mad writes to whatever is open: no answer, no end either.
        for descriptor in range(3, 12):
            with suppress(OSError):
                os.write(descriptor, b"cnao_existe\nnada\n.")
        signal.pause()
    if "PRINT" in html:
        os.write(1, b"a library's own opinion")
    if "LEAK" in html:
        _held.append(bytearray(30_000_000))
    return extract(page)
