"""Pages are extracted in a child process, so that no page can stop, fill or end the reader.

HTML parsers are C, and the web finds their faults. Each reading process has one child
(``worker.py``) to which it sends batches of pages; a page that uses too much time or memory, or
that crashes the parser, costs the child its life and the page its place (reasons ``deadline``,
``out_of_memory``, ``crashed``), and a fresh child goes on with the next page. While the child
extracts a batch, the reader reads and rejects the pages of the next one. The order of answers is
that of the pages, whatever happens.
"""

from __future__ import annotations

import atexit
import datetime
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from tagarela_dagster.corpus.sources.extraction import Extracted, Failure, Page
from tagarela_dagster.corpus.sources.web.worker import MEMORY, READY

DEADLINE_S = 30.0
"""Processor time for one page; real pages take 0.01 to 1 s, book-length ones a few seconds."""
MEMORY_BYTES = 1_000_000_000
"""What one page may take; a tree needs some 10 to 30 times the bytes of its page."""
EXTRACT = "tagarela_dagster.corpus.sources.extraction:extract"
BATCH_PAGES = 16
BATCH_BYTES = 1_000_000
MAX_WAITING = 2_000
"""Items that may wait for the answer of a page before them."""
START_S = 120.0
"""A child that is not ready by then never will be."""
PATIENCE = 20.0
"""Wall time before a silent child is ended, in deadlines: the processor may be busy elsewhere."""

ANSWERS: tuple[type, ...] = (Extracted, Failure, datetime.date)
"""Classes that an answer of the extraction process may be made of."""

T = TypeVar("T")
_END = object()


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one page, and what is called with it (``module:function``)."""

    deadline_s: float = DEADLINE_S
    memory_bytes: int = MEMORY_BYTES
    function: str = EXTRACT


_idle: dict[tuple[int, Limits], list[Extractor]] = {}


def extract_pages(
    items: Iterable[tuple[Page | None, T]], limits: Limits | None = None
) -> Iterator[tuple[Extracted | Failure | None, T]]:
    """Answer each page in the order given; an item without a page passes through in its place.

    Raises:
        RuntimeError: the child process cannot be started at all.
    """
    key = (os.getpid(), limits or Limits())
    waiting = _idle.setdefault(key, [])
    extractor = waiting.pop() if waiting else Extractor(key[1])
    try:
        yield from extractor.answers(items)
    finally:
        if extractor.is_busy:
            # Left in the middle: its answers would be taken for another's.
            extractor.close()
        waiting.append(extractor)


class Extractor:
    """One child process and the pages that it has been given."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._sent: deque[Page] = deque()
        self._served = 0

    @property
    def is_busy(self) -> bool:
        """Whether answers are outstanding."""
        return bool(self._sent)

    def answers(
        self, items: Iterable[tuple[Page | None, T]]
    ) -> Iterator[tuple[Extracted | Failure | None, T]]:
        """See ``extract_pages``."""
        waiting: deque[tuple[Page | None, T]] = deque()
        batch: list[Page] = []
        size = 0
        for page, context in items:
            waiting.append((page, context))
            if page is not None:
                batch.append(page)
                size += len(page.html)
            if len(batch) >= BATCH_PAGES or size >= BATCH_BYTES:
                self._send(batch)
                yield from self._answered(waiting, keep=len(batch))
                batch, size = [], 0
            elif len(waiting) >= MAX_WAITING:
                # Few pages among many rejections: these must not pile up behind a batch.
                self._send(batch)
                yield from self._answered(waiting, keep=0)
                batch, size = [], 0
            elif not batch and not self._sent:
                yield from self._answered(waiting, keep=0)
        self._send(batch)
        yield from self._answered(waiting, keep=0)

    def close(self) -> None:
        """End the child, whatever it does."""
        self._sent.clear()
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            assert child.stdin
            with suppress(OSError):
                child.stdin.close()

    def _answered(
        self, waiting: deque[tuple[Page | None, T]], keep: int
    ) -> Iterator[tuple[Extracted | Failure | None, T]]:
        """Hand out what is ready, and wait while more than ``keep`` pages are unanswered."""
        while waiting:
            page, context = waiting[0]
            if page is None:
                waiting.popleft()
                yield None, context
            elif self._sent and (len(self._sent) > keep or not self._answers.empty()):
                answer = self._next()
                waiting.popleft()
                yield answer, context
            else:
                return

    def _next(self) -> Extracted | Failure:
        """The answer to the first page that was sent."""
        while True:
            try:
                answer = self._answers.get(timeout=PATIENCE * self._limits.deadline_s)
            except queue.Empty:
                assert self._child
                self._child.send_signal(signal.SIGVTALRM)
                answer = self._answers.get()
            if isinstance(answer, (Extracted, Failure)):
                self._served += 1
                self._sent.popleft()
                return answer
            failure = self._post_mortem(answer)
            pages, is_fresh = list(self._sent), self._served == 0
            self.close()
            if is_fresh or failure.reason == "deadline":
                self._send(pages[1:])
                return failure
            # What earlier pages left behind may be to blame: only a fresh child's word counts.
            self._send(pages)

    def _post_mortem(self, answer: object) -> Failure:
        limits = self._limits
        if answer == MEMORY:
            return Failure(MEMORY, f"more than {limits.memory_bytes} bytes of memory")
        assert self._child
        code = self._child.wait()
        if code == -signal.SIGVTALRM:
            return Failure("deadline", f"more than {limits.deadline_s:g} s of processor time")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Failure("crashed", f"the extraction process ended with {how}")

    def _send(self, batch: list[Page]) -> None:
        if not batch:
            return
        if self._child is None:
            self._start()
        assert self._child and self._child.stdin
        self._sent.extend(batch)
        # A child that died meanwhile is found when its answers are read.
        with suppress(BrokenPipeError):
            pickle.dump(batch, self._child.stdin, pickle.HIGHEST_PROTOCOL)
            self._child.stdin.flush()

    def _start(self) -> None:
        limits = self._limits
        command = [sys.executable, "-m", "tagarela_dagster.corpus.sources.web.worker"]
        bounds = [limits.function, str(limits.deadline_s), str(limits.memory_bytes)]
        child = subprocess.Popen(
            [*command, *bounds, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._child, self._served = child, 0
        self._answers = queue.SimpleQueue()
        arguments = (child, self._answers)
        threading.Thread(target=_collect, args=arguments, name="extraction", daemon=True).start()
        try:
            ready = self._answers.get(timeout=START_S)
        except queue.Empty:
            ready = None
        if ready != READY:
            self.close()
            raise RuntimeError(f"the extraction process does not start: {' '.join(command)}")


class _Answers(pickle.Unpickler):
    """Loads answers and nothing else: a page that took the parser over must not reach further."""

    def find_class(self, module: str, name: str) -> Any:
        """One of ANSWERS. Raises UnpicklingError for anything else."""
        for kind in ANSWERS:
            if (kind.__module__, kind.__qualname__) == (module, name):
                return kind
        raise pickle.UnpicklingError(f"{module}.{name} is no part of an answer")


def _collect(child: subprocess.Popen[bytes], answers: queue.SimpleQueue[Any]) -> None:
    """Put a child's answers into the queue until it ends."""
    assert child.stdout
    try:
        with child.stdout as stream:
            while True:
                answers.put(_Answers(stream).load())
    except EOFError:
        pass  # it has ended
    except Exception:
        # What is no answer may raise anything: nothing more can be read of this child.
        child.kill()
    finally:
        answers.put(_END)


@atexit.register
def close_all() -> None:
    """End the extraction processes of this process; others are started when they are needed."""
    for (pid, _), extractors in _idle.items():
        if pid == os.getpid():
            for extractor in extractors:
                extractor.close()
