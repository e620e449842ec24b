"""A process that must not outlive another one watches it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from tagarela_dagster.provenance.lease import process_start

POLL_SECONDS = 0.5
ENDED_BY_SIGTERM = 143


def watch_parent(on_death: Callable[[], None], poll_seconds: float = POLL_SECONDS) -> None:
    """Call ``on_death`` from a daemon thread once this process has lost its parent.

    The parent is the process at the time of this call. When it dies, the kernel hands this
    process to another one, so the parent's pid changes; polling it needs no permission and no
    cooperation from the parent, and works for SIGKILL.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(poll_seconds)
        on_death()

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def exit_with_parent(code: int = ENDED_BY_SIGTERM) -> None:
    """End this process at once when its parent is gone (143 = ended by SIGTERM)."""
    watch_parent(lambda: os._exit(code))


def end_with_owner(pid: int, started: str | None) -> None:
    """End this process when its parent is gone, or the process of this host that it works for.

    Args:
        pid: of that process, which may be gone by now.
        started: its ``process_start``.
    """
    exit_with_parent()
    if process_start(pid) != started:
        os._exit(ENDED_BY_SIGTERM)
    exit_with_process(pid, started)


def exit_with_process(pid: int, started: str | None, poll_seconds: float = POLL_SECONDS) -> None:
    """End this process at once when another one of this host is gone, which need not be its
    parent: a worker's parent is the server that forked it.

    Args:
        pid: of the process to watch; one that is not to be seen from here is not watched.
        started: its ``process_start``.
    """
    if started is None or process_start(pid) != started:
        return

    def watch() -> None:
        while process_start(pid) == started:
            time.sleep(poll_seconds)
        os._exit(ENDED_BY_SIGTERM)

    threading.Thread(target=watch, name="watch-owner", daemon=True).start()
