"""Prefetch: a thread prepares the batches of the next steps while this one is trained."""

from __future__ import annotations

import queue
import threading
import time
from types import TracebackType

from tagarela_dagster.training.pretraining.data import Batch, Batches

AHEAD = 2
"""Steps prepared ahead; bounds the memory."""


class Prefetch:
    """Batches of the steps from ``first`` on, in order, made in a thread.

        with Prefetch(batches, first=0) as prefetch:
            micro_batches, waited = prefetch.take()

    Args:
        pin: into pinned memory, for copies to a GPU that don't wait.
    """

    def __init__(self, batches: Batches, first: int, *, pin: bool = False) -> None:
        self._batches = batches
        self._steps = range(first, batches.steps)
        self._pin = pin
        self._ready: queue.Queue[list[Batch] | BaseException] = queue.Queue()
        self._room = threading.Semaphore(AHEAD)
        self._stopped = False
        self._thread = threading.Thread(target=self._prepare, name="prefetch", daemon=True)

    def __enter__(self) -> Prefetch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped = True
        self._room.release()
        self._thread.join()

    def take(self) -> tuple[list[Batch], float]:
        """Micro-batches of the next step, and the seconds that were waited for them.

        Raises:
            What reading them raised (SamplerError, OSError).
        """
        started = time.perf_counter()
        found = self._ready.get()
        self._room.release()
        if isinstance(found, BaseException):
            raise found
        return found, time.perf_counter() - started

    def _prepare(self) -> None:
        try:
            for step in self._steps:
                self._room.acquire()
                if self._stopped:
                    return
                found = self._batches.step(step)
                self._ready.put([batch.pinned() for batch in found] if self._pin else found)
        except BaseException as error:  # told in the training thread
            self._ready.put(error)
