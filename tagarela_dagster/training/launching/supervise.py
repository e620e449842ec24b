"""Supervisor: runs one command and sees to it that nothing of it is left behind.

It stands between the launcher and torchrun. When the launcher is gone (even by SIGKILL), when it
is asked to stop (SIGTERM, SIGINT, SIGHUP) or when the command has ended, every descendant gets
SIGTERM, some seconds of grace, then SIGKILL. SIGUSR1 asks the ranks to save and stop instead
(preemption.py). What they write goes to the run's log (log.py). It imports nothing heavy, so it
is there at once. A Slurm job and a pod are supervisors too (slurm_job.py, pod.py).

    python -m tagarela_dagster.training.launching.supervise LAUNCHER_PID GRACE_SECONDS LOG \\
        LOG_BYTES COMMAND…

A LOG of ``-`` leaves the output on the terminal.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from tagarela_dagster.training.launching.log import Log
from tagarela_dagster.training.launching.preemption import STOP_VARIABLE, ask_to_stop
from tagarela_dagster.training.launching.processes import (
    SUPERVISOR_VARIABLE,
    adopt_orphans,
    descendants,
    die_with_parent,
    signal_all,
    supervisor_name,
)

POLL_SECONDS = 0.2
STOPPED = 128 + signal.SIGTERM
"""Exit status after a stop."""
TERMINAL = "-"
"""In place of LOG: the output stays this process's own."""
KILL_SECONDS = 10.0
"""How long to go on sending SIGKILL; what is left then hangs in the kernel."""


class Supervisor:
    """Runs ``command`` until it ends or a stop is asked for.

    Args:
        parent: pid of the process that this one must not outlive.
        log: gets the output of the command; None leaves it where this process's goes.
        gentle: whether SIGTERM asks to save and stop; whoever sends it follows with SIGKILL.

    Attributes:
        stop_asked: the last signal by which the ranks were asked to save and stop.
    """

    def __init__(
        self,
        command: list[str],
        *,
        parent: int,
        grace_seconds: float,
        log: Log | None,
        gentle: bool = False,
    ) -> None:
        self.command = command
        self.parent = parent
        self.grace_seconds = grace_seconds
        self.log = log
        self.gentle = gentle
        self.stop_asked: int | None = None
        self._ending = False

    def run(self) -> int:
        """Exit status of the command (128 + signal if killed by one), or STOPPED."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)
        for number in (signal.SIGUSR1, *([signal.SIGTERM] if self.gentle else [])):
            signal.signal(number, self._ask_to_stop)
        adopt_orphans()
        environment = {**os.environ, SUPERVISOR_VARIABLE: supervisor_name()}
        reading, writing = os.pipe() if self.log else (None, None)
        # If even this process is killed, the kernel ends torchrun, and its ranks see that.
        child = subprocess.Popen(
            self.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.STDOUT if self.log else None,
            preexec_fn=die_with_parent,
        )
        pump = None
        if self.log and reading is not None and writing is not None:
            os.close(writing)
            pump = self.log.pump(reading)
        status: int | None = None
        while status is None and not self._ending and os.getppid() == self.parent:
            status = _reap(child.pid)
            if status is None:
                time.sleep(POLL_SECONDS)
        self._end_descendants()
        if pump:
            pump.join(KILL_SECONDS)
        return STOPPED if status is None else status

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending = True

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_asked = number
        ask_to_stop(Path(os.environ[STOP_VARIABLE]))

    def _end_descendants(self) -> None:
        signal_all(descendants(os.getpid()), signal.SIGTERM)
        deadline = time.monotonic() + self.grace_seconds
        while descendants(os.getpid()):
            _reap(-1)
            if time.monotonic() > deadline:
                signal_all(descendants(os.getpid()), signal.SIGKILL)
            if time.monotonic() > deadline + KILL_SECONDS:
                return
            time.sleep(POLL_SECONDS / 4)


def _reap(pid: int) -> int | None:
    """Collect ended children; exit status of ``pid`` if it is among them."""
    found = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if ended == 0:
            return found
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code


def main() -> int:
    """Entry point of the supervisor process."""
    launcher, grace, log, limit, *command = sys.argv[1:]
    return Supervisor(
        command,
        parent=int(launcher),
        grace_seconds=float(grace),
        log=None if log == TERMINAL else Log(Path(log), float(limit)),
    ).run()


if __name__ == "__main__":
    sys.exit(main())
