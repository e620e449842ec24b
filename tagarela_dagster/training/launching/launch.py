"""Launcher: a training as a tree of processes of its own, followed and ended as a whole.

The caller (an asset's step, a command) stays free of torch. Whatever ends the caller, by
exception, Ctrl-C, SIGTERM or SIGKILL, ends the whole tree (supervise.py).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tagarela_dagster.training.launching.devices import Devices, take_devices
from tagarela_dagster.training.launching.environment import remove_stale_locks, training_environment
from tagarela_dagster.training.launching.failure import (
    FAILURE_VARIABLE,
    TrainingError,
    read_outcome,
)
from tagarela_dagster.training.launching.log import LOG_NAME, MEGABYTE, Log, tail
from tagarela_dagster.training.launching.preemption import STOP_VARIABLE
from tagarela_dagster.training.launching.rank import MODULE as RANK
from tagarela_dagster.training.launching.settings import Local

POLL_SECONDS = 1.0
GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL."""
LOG_LINES = 20
"""Last lines of the log that an error shows."""
OnPoll = Callable[[], None]


def torchrun(module: str, arguments: Sequence[str], processes: int, *where: str) -> list[str]:
    """Command that runs ``python -m module arguments`` as ``processes`` ranks on this machine.

    Args:
        where: options that place this machine among others; none: it is alone.
    """
    return [
        sys.executable,
        *("-m", "torch.distributed.run", "--max-restarts=0"),
        *(where or ("--standalone", "--local-addr=127.0.0.1")),
        f"--nproc_per_node={processes}",
        *("-m", RANK, module, *arguments),
    ]


def run_locally(
    module: str,
    arguments: Sequence[str],
    *,
    run: Path,
    processes: int,
    settings: Local,
    on_poll: OnPoll | None = None,
) -> None:
    """Run ranks on this machine to their end, one a device.

    Raises:
        TrainingError: another training has the devices, or the ranks failed.
    """
    processes = settings.processes or processes
    devices = take_devices(processes, settings, run)
    try:
        launch(
            torchrun(module, arguments, processes),
            run=run,
            processes=processes,
            devices=devices,
            log_bytes=settings.log_mb * MEGABYTE,
            on_poll=on_poll,
        )
    finally:
        devices.release()


def launch(
    command: Sequence[str],
    *,
    run: Path,
    processes: int = 1,
    environment: Mapping[str, str] | None = None,
    devices: Devices | None = None,
    log_bytes: float = 50 * MEGABYTE,
    on_poll: OnPoll | None = None,
    poll_seconds: float = POLL_SECONDS,
    grace_seconds: float = GRACE_SECONDS,
) -> None:
    """Run ``command`` to its end, with its output appended to ``run/log.txt``.

    Args:
        processes: ranks that share this machine's cores.
        environment: more variables for the command.
        devices: handed on to the supervisor, which holds them as long as the command runs.
        on_poll: called about every ``poll_seconds`` while it runs; what it raises ends the run.

    Raises:
        TrainingError: the command failed; the message says why and where the log is.
    """
    devices = devices or Devices()
    path = run / LOG_NAME
    log = Log(path, log_bytes)
    log.begin()
    started = path.stat().st_size
    with tempfile.TemporaryDirectory(prefix="tagarela-") as folder:
        failure = Path(folder) / "failure.json"
        own = {FAILURE_VARIABLE: str(failure), STOP_VARIABLE: str(Path(folder) / "stop")}
        more = {**(environment or {}), **devices.environment(), **own}
        variables = training_environment(processes, more)
        remove_stale_locks(Path(variables["TORCH_EXTENSIONS_DIR"]))
        with path.open("ab") as output:
            supervisor = subprocess.Popen(
                [*_supervise(grace_seconds, path, log_bytes), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=variables,
                start_new_session=True,
                pass_fds=devices.descriptors,
            )
        # From now on the supervisor holds them, for as long as anything of the command lives.
        devices.release()
        try:
            status = _follow(supervisor, on_poll, poll_seconds)
        finally:
            _end(supervisor, grace_seconds)
        if status:
            said = read_outcome(failure)
            raise TrainingError(
                f"{said.reason}\nThe log is {path}" if said else reason(path, started, status)
            )


def reason(log: Path, since: int, status: int) -> str:
    """Why ranks failed that said nothing themselves: a signal, and the end of the log."""
    lines = tail(log, 10 * LOG_LINES, since)
    why = _killed(lines) or _raised(lines) or f"the training ended with status {status}"
    return "\n".join([f"{why}; its log {log} ends with:", *lines[-LOG_LINES:]])


_TORCHRUN = re.compile(r"failed \(exitcode: -(\d+)\) local_rank: (\d+) \(pid: (\d+)\)")
"""What torchrun says of the rank that failed first
(torch/distributed/elastic/multiprocessing/api.py)."""
_EXCEPTION = re.compile(r"\[rank(\d+)\]: ((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)\b.*)")
"""The last line of a rank's traceback, as torch prints it."""
_SRUN = re.compile(r"srun: error: (\S+): task (\d+): (.+)")
"""What srun says of each task that failed, in order."""
_MEANING = {
    "SIGKILL": ": out of memory?",
    "SIGBUS": ": a file that it had mapped was cut or cannot be read (`tagarela verify` names "
    "damaged token shards), or /dev/shm is full",
}
_SIGNALS = {signal.strsignal(number): number.name for number in signal.Signals}


def _killed(lines: Sequence[str]) -> str:
    """That a signal killed a rank, and thereby the training; empty if none did."""
    for line in lines:
        if found := _TORCHRUN.search(line):
            name, rank = signal.Signals(int(found[1])).name, f"{found[2]} (process {found[3]})"
        elif found := _SRUN.search(line):
            name, rank = _SIGNALS.get(found[3].partition(" (")[0], ""), f"{found[2]} on {found[1]}"
        else:
            continue
        # The others end because of the first.
        return f"rank {rank} was killed by {name}{_MEANING.get(name, '')}" if name else ""
    return ""


def _raised(lines: Sequence[str]) -> str:
    """The exception that ended the first rank, as its traceback's last line has it; empty if no
    rank left one."""
    found = (match for line in lines if (match := _EXCEPTION.match(line)))
    return next((f"rank {match[1]} failed: {match[2]}" for match in found), "")


def _supervise(grace_seconds: float, log: Path, log_bytes: float) -> list[str]:
    module = "tagarela_dagster.training.launching.supervise"
    own = [str(os.getpid()), str(grace_seconds), str(log), str(log_bytes)]
    return [sys.executable, "-m", module, *own]


def _follow(
    supervisor: subprocess.Popen[bytes], on_poll: OnPoll | None, poll_seconds: float
) -> int:
    while True:
        try:
            return supervisor.wait(poll_seconds)
        except subprocess.TimeoutExpired:
            if on_poll:
                on_poll()


def _end(supervisor: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """End the supervisor and with it everything below; nothing to do when it has ended."""
    if supervisor.poll() is not None:
        return
    supervisor.terminate()
    try:
        supervisor.wait(2 * grace_seconds + 10)
    finally:
        supervisor.kill()
        supervisor.wait()
