"""A bound on the processor time of one record, so that a pathological page cannot stop a unit.

The clock is the process's own user time (``ITIMER_VIRTUAL``), not the wall: a busy machine or a
slow disk does not change which records pass. It works through a signal, so only in the main
thread of a process, where datatrove's and Dagster's workers run their tasks. In any other thread
there is no time bound; ``bounded`` tells which it was, and structural bounds (payload size, number
of tags, nesting) still hold.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REPEAT_S = 1.0
"""The alarm rings again after this long, in case a library swallowed the first one."""


class DeadlineError(Exception):
    """The block used more processor time than it was given."""


class _Expired(BaseException):
    """Raised inside the block; not an ``Exception``, so that a broad handler lets it pass."""


def bounded() -> bool:
    """Whether ``deadline`` can bound anything here (the main thread of the process)."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise ``DeadlineError`` when the block uses more than ``seconds`` of user time."""
    if not bounded():
        yield
        return
    armed = True

    def expire(_signal: int, _frame: FrameType | None) -> None:
        if armed:
            raise _Expired

    previous = signal.signal(signal.SIGVTALRM, expire)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, REPEAT_S)
    try:
        try:
            yield
        finally:
            armed = False
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except _Expired:
        raise DeadlineError(f"more than {seconds:g} s of processor time") from None
    finally:
        signal.signal(signal.SIGVTALRM, previous)
