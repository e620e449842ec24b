"""Home: where a recipe's lake, runs and Dagster instance live on this machine.

``<TAGARELA_HOME>/<recipe>/`` (``<recipe>-tiny`` at another scale) holds ``lake/`` (published
partitions), ``runs/`` (run folders of trainings and evaluations) and ``dagster/`` (the
instance). Recipes never share an instance, so their partitions don't mix on the page.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "TAGARELA_HOME"
DEFAULT_HOME = ".tagarela"
WORKERS_VARIABLE = "TAGARELA_WORKERS"


class HomeError(RuntimeError):
    """The home folder cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Home:
    """Folders of one recipe at one scale."""

    root: Path

    @classmethod
    def of(cls, recipe: str, scale: str = "full") -> Home:
        """Home of a recipe below TAGARELA_HOME (default: ``.tagarela`` in the working folder)."""
        base = Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)
        return cls(base.absolute() / (recipe if scale == "full" else f"{recipe}-{scale}"))

    @property
    def lake(self) -> Path:
        """Published partitions."""
        return self.root / "lake"

    @property
    def runs(self) -> Path:
        """Run folders."""
        return self.root / "runs"

    @property
    def dagster(self) -> Path:
        """Dagster's instance: runs, events, schedules (SQLite)."""
        return self.root / "dagster"

    @property
    def lexicon(self) -> Path:
        """What spaCy said of each word, kept between runs and shared by all recipes."""
        return self.root.parent / "lexicon"

    @property
    def tombstones(self) -> Path:
        """What was forgotten on request, in all recipes."""
        return self.root.parent / "tombstones.jsonl"

    def create(self) -> Home:
        """Make the folders. Raises HomeError when they cannot be written to."""
        try:
            for folder in (self.lake, self.runs, self.dagster):
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / ".writable"
                probe.touch()
                probe.unlink()
        except OSError as error:
            raise HomeError(
                f"{self.root} cannot be written to ({error.strerror}): make it writable, or set "
                f"{HOME_VARIABLE} to another folder"
            ) from None
        return self


def workers() -> int:
    """Worker processes for corpus work: TAGARELA_WORKERS, else the cores this process may use.

    Raises:
        HomeError: the variable is not a number of processes.
    """
    given = os.environ.get(WORKERS_VARIABLE)
    if not given:
        return len(os.sched_getaffinity(0))
    if not given.isdecimal() or int(given) < 1:
        raise HomeError(f"{WORKERS_VARIABLE} = {given!r}: give a number of processes, 1 or more")
    return int(given)
