"""A child that must not outlive its parent watches it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

POLL_SECONDS = 0.5


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


def exit_with_parent(code: int = 143) -> None:
    """End this process at once when its parent is gone (143 = ended by SIGTERM)."""
    watch_parent(lambda: os._exit(code))
