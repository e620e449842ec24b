"""Trackers: what metrics.jsonl says, shown in TensorBoard, Weights & Biases or MLflow.

    TAGARELA_TRACKING=tensorboard,wandb,mlflow      # default: tensorboard; none: no tracker

Where a run is shown is no part of a recipe. metrics.jsonl is written without them (metrics.py) and
is the truth; a tracker follows it. Each works in a thread of its own, so that a server that is slow
or away holds up no step, and one that fails is switched off with a line in the log: it never stops
a training. When the run is resumed, it is tried again, and is first given what it has not got.
Credentials come from the environment, under the names that each gives them (WANDB_API_KEY,
MLFLOW_TRACKING_TOKEN).
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.tracking import services, tensorboard
from tagarela_dagster.training.tracking.metrics import read_metrics

VARIABLE = "TAGARELA_TRACKING"
DEFAULT = "tensorboard"
STATE_FOLDER = "tracking"
QUEUED_ROWS = 10_000
"""Lines that wait for a slow tracker; one that has more to catch up with is switched off."""
CLOSE_SECONDS = 30.0
"""Time that a tracker has at the end for what it has not sent."""
UNSHOWN = {"step", "tokens_per_cell"}

logger = logging.getLogger(__name__)
Row = Mapping[str, Any]


class Tracker(Protocol):
    """Shows numbers of a run."""

    def write(self, step: int, values: dict[str, float]) -> None:
        """Show a step's numbers."""

    def flush(self) -> None:
        """Return when what was written will survive the end of this process."""

    def close(self) -> None:
        """Send what is left and end."""


Opener = Callable[[Path, str, dict[str, Any], dict[str, Any], int], Tracker]
"""Run folder, name of the run, its configuration, its state (kept by the opener, with a name for
the run over there), last step of metrics.jsonl."""

OPENERS: dict[str, Opener] = {
    "tensorboard": tensorboard.open_tensorboard,
    "wandb": services.open_wandb,
    "mlflow": services.open_mlflow,
}


class Trackers:
    """The trackers of a run.

    Attributes:
        failures: name -> why it was switched off.
    """

    def __init__(self, run: Path, name: str, config: dict[str, Any], chosen: list[str]) -> None:
        self.failures: dict[str, str] = {}
        done = read_metrics(run)
        self._followers = [
            _Follower(tracker, run, name, config, done, self.failures) for tracker in chosen
        ]

    def write(self, row: Row) -> None:
        """Show a line of metrics; returns at once and never raises."""
        for follower in self._followers:
            follower.put(row)

    def close(self) -> None:
        """Wait for what is not shown yet, but not for ever."""
        for follower in self._followers:
            follower.close()


def open_trackers(run: Path, name: str, config: dict[str, Any]) -> Trackers:
    """Trackers that the environment asks for, in one process of a run.

    To be called after metrics.jsonl was rewound; lines that are in it already are shown, then
    those that are written.

    Args:
        name: of the run, for people.
        config: what it was started with, shown beside it; no secrets.

    Raises:
        TrainingError: the environment names a tracker that there is none of.
    """
    given = os.environ.get(VARIABLE, DEFAULT)
    chosen = [part.strip() for part in given.split(",") if part.strip() not in ("", "none")]
    unknown = sorted(set(chosen) - set(OPENERS))
    if unknown:
        raise TrainingError(
            f"{VARIABLE}={given}: there is no tracker {unknown[0]!r}; known are "
            f"{', '.join(OPENERS)} and none"
        )
    return Trackers(run, name, config, list(dict.fromkeys(chosen)))


class _Follower:
    """Gives one tracker the lines of metrics, in a thread."""

    def __init__(
        self,
        tracker: str,
        run: Path,
        name: str,
        config: dict[str, Any],
        done: list[dict[str, Any]],
        failures: dict[str, str],
    ) -> None:
        self.tracker = tracker
        self.failures = failures
        self._arguments = (run, name, config)
        self._state_path = run / STATE_FOLDER / f"{tracker}.json"
        self._rows: queue.Queue[Row | None] = queue.Queue(QUEUED_ROWS)
        self._thread = threading.Thread(
            target=self._follow, args=(done,), name=f"tracker-{tracker}", daemon=True
        )
        self._thread.start()

    def put(self, row: Row) -> None:
        if self.tracker in self.failures:
            return
        try:
            self._rows.put_nowait(row)
        except queue.Full:
            self._switch_off(f"{QUEUED_ROWS} lines behind")

    def close(self) -> None:
        if self.tracker not in self.failures:
            try:
                self._rows.put(None, timeout=CLOSE_SECONDS)
            except queue.Full:
                self._switch_off(f"{QUEUED_ROWS} lines behind at the end")
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive() and self.tracker not in self.failures:
            self._switch_off(f"not done {CLOSE_SECONDS:g} s after the end")

    def _switch_off(self, reason: str) -> None:
        if self.tracker not in self.failures:
            self.failures[self.tracker] = reason
            logger.warning(
                "tracker %s is switched off (%s); metrics.jsonl has everything, and a resumed run "
                "tries again",
                self.tracker,
                reason,
            )

    def _follow(self, done: list[dict[str, Any]]) -> None:
        try:
            state = self._read_state()
            last = done[-1]["step"] if done else 0
            tracker = OPENERS[self.tracker](*self._arguments, state, last)
            for rows in self._batches(done):
                for row in rows:
                    if row["step"] > state.get("step", 0):
                        tracker.write(row["step"], numbers(row))
                        state["step"] = row["step"]
                tracker.flush()
                self._write_state(state)
            tracker.close()
        except Exception as error:
            # Whatever it is: no tracker is worth a training.
            self._switch_off(f"{type(error).__name__}: {str(error).splitlines()[0][:200]}")

    def _batches(self, done: list[dict[str, Any]]) -> Iterator[list[Row]]:
        """Lines that were there, then those that come, as many at a time as are waiting."""
        yield list(done)
        while True:
            batch: list[Row] = []
            row = self._rows.get()
            while row is not None:
                batch.append(row)
                if self._rows.empty():
                    break
                row = self._rows.get()
            yield batch
            if row is None or self.tracker in self.failures:
                return

    def _read_state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads(self._state_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state

    def _write_state(self, state: dict[str, Any]) -> None:
        self._state_path.parent.mkdir(exist_ok=True)
        partial = self._state_path.with_suffix(".partial")
        partial.write_text(json.dumps(state), encoding="utf-8")
        partial.replace(self._state_path)


def numbers(row: Row) -> dict[str, float]:
    """What can be drawn of a line of metrics: its numbers, by name and, of a mapping, ``name/key``;
    a text (why a step was skipped) counts as 1."""
    found: dict[str, float] = {}
    for name, value in row.items():
        if name in UNSHOWN:
            continue
        if isinstance(value, Mapping):
            nested = numbers(value)
            found |= {f"{name}/{key}": number for key, number in nested.items()}
        elif isinstance(value, bool | int | float):
            found[name] = float(value)
        elif isinstance(value, str):
            found[name] = 1.0
    return found
