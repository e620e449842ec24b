"""Processes that still run, told by the run folder on their command line or by a mark."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

MARK = "TAGARELA_TEST_MARK"
"""Variable by which everything that a test starts is found again, whatever its command line."""


def processes_of(run: Path) -> dict[int, str]:
    """pid -> command line of the live processes that name the run folder, this one left out."""
    return {
        pid: command
        for pid, command in _each("cmdline").items()
        if str(run) in command and pid != os.getpid()
    }


def marked(mark: str) -> dict[int, str]:
    """pid -> command line of the live processes that were started with MARK set to ``mark``."""
    commands = _each("cmdline")
    return {
        pid: commands.get(pid, "")
        for pid, variables in _each("environ").items()
        if f"{MARK}={mark}" in variables.split(" ")
    }


def wait_until_gone(run: Path, seconds: float) -> dict[int, str]:
    """What is left of a run after at most ``seconds``; empty as soon as all are gone."""
    return _wait(lambda: processes_of(run), seconds)


def wait_until_unmarked(mark: str, seconds: float) -> dict[int, str]:
    """The same of what carries a mark."""
    return _wait(lambda: marked(mark), seconds)


def _wait(left: Callable[[], dict[int, str]], seconds: float) -> dict[int, str]:
    deadline = time.monotonic() + seconds
    while (found := left()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _each(name: str) -> dict[int, str]:
    """pid -> a file of /proc whose parts end with zero bytes; empty for zombies."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / name).read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        found[int(folder.name)] = text
    return found
