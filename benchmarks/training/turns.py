"""Turns: trainings that take their steps one after the other in one process.

Each runs in a thread of its own and hands on the turn after each step. So whatever slows the
machine down for a while slows all of them, and steps are compared with their neighbours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Training = Callable[[Callable[[float], None]], None]
"""Trains; calls what it is given after each step, with the step's loss."""


@dataclass
class Steps:
    """The steps of one training.

    Attributes:
        clock: seconds from being given the turn to handing it on.
        processor: of all threads of this process, in the same time.
    """

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


class _Turn:
    """A training's place in the ring."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.mine = threading.Semaphore(0)
        self.next: _Turn = self
        self.before: _Turn = self
        self.error: BaseException | None = None
        self._since = (0.0, 0.0)

    def wait(self) -> None:
        self.mine.acquire()
        self._since = (time.perf_counter(), time.process_time())

    def done(self, loss: float) -> None:
        clock, processor = time.perf_counter(), time.process_time()
        self.steps.clock.append(clock - self._since[0])
        self.steps.processor.append(processor - self._since[1])
        self.steps.losses.append(loss)
        self.next.mine.release()
        self.wait()

    def run(self, train: Training) -> None:
        self.wait()
        try:
            train(self.done)
        except BaseException as error:  # told in the thread that waits for all
            self.error = error
        self.before.next, self.next.before = self.next, self.before
        self.next.mine.release()


def in_turns(trainings: Mapping[str, Training]) -> dict[str, Steps]:
    """Run the trainings to their ends. The first step's time has the start in it.

    Raises:
        What the first of them that failed raised.
    """
    turns = {name: _Turn() for name in trainings}
    ring = list(turns.values())
    for one, other in zip(ring, ring[1:] + ring[:1], strict=True):
        one.next, other.before = other, one
    threads = [
        threading.Thread(target=turns[name].run, args=(train,), name=name, daemon=True)
        for name, train in trainings.items()
    ]
    for thread in threads:
        thread.start()
    ring[0].mine.release()
    for thread in threads:
        thread.join()
    for turn in ring:
        if turn.error:
            raise turn.error
    return {name: turn.steps for name, turn in turns.items()}
