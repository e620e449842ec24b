"""Processes that end together: parent death signals, descendants, orphans.

torchrun starts each rank in a session of its own, so signalling a process group does not reach
them. What does: the kernel's parent-death signal, a watch on the supervisor, and walking the
process tree. The kernel's parts are Linux only; elsewhere the watches alone do the work.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tagarela_dagster.provenance.lease import process_start
from tagarela_dagster.provenance.parent import POLL_SECONDS, exit_with_parent

SUPERVISOR_VARIABLE = "TAGARELA_SUPERVISOR"
"""``pid:start time`` of the supervisor, for its descendants."""

_ends = False
"""Whether this process watches already."""
# <linux/prctl.h>
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36


def die_with_parent() -> None:
    """Have the kernel send this process SIGKILL when its parent ends (Linux)."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that none is lost (Linux)."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def end_with_supervisor() -> None:
    """End this process when its parent or its supervisor is gone; call first in a rank."""
    global _ends
    if _ends:
        return
    _ends = True
    die_with_parent()
    exit_with_parent()
    named = os.environ.get(SUPERVISOR_VARIABLE)
    if not named:
        return
    pid, start = named.split(":")

    def watch() -> None:
        # The supervisor may be gone already, which neither the parent's pid nor the kernel tells.
        while process_start(int(pid)) == start:
            time.sleep(POLL_SECONDS)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="watch-supervisor", daemon=True).start()


def supervisor_name() -> str:
    """This process as SUPERVISOR_VARIABLE names it."""
    return f"{os.getpid()}:{process_start(os.getpid())}"


def descendants(pid: int) -> list[int]:
    """Live children of ``pid``, their children and so on; zombies are left out."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents().items():
        children.setdefault(parent, []).append(child)
    found, queue = [], [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return found


def signal_all(pids: list[int], number: int) -> None:
    """Send a signal to each process that still runs."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _parents() -> dict[int, int]:
    """pid -> parent's pid of every process but zombies."""
    if not Path("/proc/self/stat").exists():
        listing = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
        )
        rows = (line.split() for line in listing.stdout.splitlines())
        return {int(row[0]): int(row[1]) for row in rows if not row[2].startswith("Z")}
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            found[int(stat.parent.name)] = int(parent)
    return found


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
