"""Rows of results, clocks, and the binding of a process to one core."""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class Row:
    """One measured number.

    Attributes:
        peer: what it is compared with; None: nothing.
        ratio: how many times better than the peer (rates: value / peer_value).
        agreement: share of answers that are equal to the peer's.
        target: what issue or recipe asks of ``judged``, as a lower (``at_least``) or upper limit.
        judged: the number that the target is about: ``ratio``, ``value`` or ``agreement``.
        note: how it was measured, in a few words.
    """

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    agreement: float | None = None
    target: float | None = None
    judged: str = "ratio"
    at_least: bool = True
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        number = getattr(self, self.judged)
        if self.target is None or number is None:
            return None
        return bool(number >= self.target if self.at_least else number <= self.target)

    def as_json(self) -> dict[str, Any]:
        """The row with its numbers to four significant digits, and without what it lacks."""
        row = {k: v for k, v in asdict(self).items() if v not in (None, "", {})}
        row |= {k: short(v) for k, v in row.items() if isinstance(v, float)}
        if self.met is None:
            return {k: v for k, v in row.items() if k not in ("judged", "at_least")}
        return {**row, "met": self.met}


def rate(name: str, value: float, peer: str, peer_value: float, **more: Any) -> Row:
    """A row of MB/s against a peer's."""
    return Row(name, value, "MB/s", peer, peer_value, value / peer_value, **more)


def short(number: float) -> float:
    """Four significant digits."""
    return float(f"{number:.4g}")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Result of a call and CPU seconds of all threads of this process."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def best(make: Callable[[], Callable[[], T]], rounds: int = 3) -> tuple[T, float]:
    """Last result and the least CPU seconds of so many rounds; ``make`` is not on the clock."""
    seconds = []
    for _ in range(rounds):
        work = make()
        gc.collect()
        result, took = timed(work)
        seconds.append(took)
    return result, min(seconds)


def one_core() -> None:
    """Bind this process to the last core that it may use."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def peak_megabytes() -> float:
    """Most memory that this process has held (10^6 bytes; ``ru_maxrss`` is in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 / 1e6
