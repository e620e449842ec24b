"""Launcher: a training as a tree of processes of its own, followed and ended as a whole.

The caller (an asset's step, a command) stays free of torch. Whatever ends the caller, by
exception, Ctrl-C, SIGTERM or SIGKILL, ends the whole tree (supervise.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tagarela_dagster.training.launching.environment import remove_stale_locks, training_environment
from tagarela_dagster.training.launching.failure import FAILURE_VARIABLE, TrainingError

LOG_NAME = "log.txt"
POLL_SECONDS = 1.0
GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL."""
LOG_LINES = 20
"""Last lines of the log that an error shows."""


def torchrun(module: str, arguments: Sequence[str], processes: int) -> list[str]:
    """Command that runs ``python -m module arguments`` as ``processes`` ranks on this machine."""
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--local-addr=127.0.0.1",
        "--max-restarts=0",
        f"--nproc_per_node={processes}",
        "-m",
        module,
        *arguments,
    ]


def launch(
    command: Sequence[str],
    *,
    run: Path,
    processes: int = 1,
    environment: Mapping[str, str] | None = None,
    on_poll: Callable[[], None] | None = None,
    poll_seconds: float = POLL_SECONDS,
    grace_seconds: float = GRACE_SECONDS,
) -> None:
    """Run ``command`` to its end, with its output appended to ``run/log.txt``.

    Args:
        processes: ranks that share this machine's cores.
        environment: more variables for the command.
        on_poll: called about every ``poll_seconds`` while it runs; what it raises ends the run.

    Raises:
        TrainingError: the command failed; the message says why and where the log is.
    """
    run.mkdir(parents=True, exist_ok=True)
    log = run / LOG_NAME
    with tempfile.TemporaryDirectory(prefix="tagarela-") as folder:
        failure = Path(folder) / "failure.json"
        variables = training_environment(
            processes, {**(environment or {}), FAILURE_VARIABLE: str(failure)}
        )
        remove_stale_locks(Path(variables["TORCH_EXTENSIONS_DIR"]))
        started = log.stat().st_size if log.exists() else 0
        with log.open("ab", buffering=0) as output:
            output.write(f"== {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode())
            supervisor = subprocess.Popen(
                [*_supervise(grace_seconds), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=variables,
                start_new_session=True,
            )
        try:
            status = _follow(supervisor, on_poll, poll_seconds)
        finally:
            _end(supervisor, grace_seconds)
        if status:
            raise TrainingError(_reason(failure, log, started, status))


def _supervise(grace_seconds: float) -> list[str]:
    module = "tagarela_dagster.training.launching.supervise"
    return [sys.executable, "-m", module, str(os.getpid()), str(grace_seconds)]


def _follow(
    supervisor: subprocess.Popen[bytes], on_poll: Callable[[], None] | None, poll_seconds: float
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


def _reason(failure: Path, log: Path, started: int, status: int) -> str:
    """Why the command failed: what a rank said, or else the end of the log."""
    try:
        sentence = json.loads(failure.read_text(encoding="utf-8"))["reason"]
        return f"{sentence}\nThe log is {log}"
    except FileNotFoundError:
        pass
    with log.open("rb") as file:
        file.seek(started)
        lines = file.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    return "\n".join([f"the training ended with status {status}; its log {log} ends with:", *lines])
