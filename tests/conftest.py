"""What all tests share."""

from __future__ import annotations

import os
import signal
import threading

import pytest

# A launch of ranks would import TensorBoard and CodeCarbon, seconds of each; their own tests ask.
os.environ.setdefault("TAGARELA_TRACKING", "none")
os.environ.setdefault("TAGARELA_TRACKING_MODE", "off")


@pytest.fixture(autouse=True)
def signals_as_in_a_terminal() -> None:
    """What a test or a library has blocked or ignored would be inherited by processes that later
    tests start, and SIGTERM would not end them."""
    if threading.current_thread() is not threading.main_thread():
        return
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
