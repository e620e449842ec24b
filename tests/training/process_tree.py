"""Processes that still run, told by the run folder on their command line."""

from __future__ import annotations

import os
import time
from pathlib import Path


def processes_of(run: Path) -> dict[int, str]:
    """pid -> command line of the live processes that name the run folder, this one left out."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(run) in command and int(folder.name) != os.getpid():
            found[int(folder.name)] = command
    return found


def wait_until_gone(run: Path, seconds: float) -> dict[int, str]:
    """What is left of a run after at most ``seconds``; empty as soon as all are gone."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(run)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left
