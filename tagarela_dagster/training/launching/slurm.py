"""Slurm backend: a training as one job, submitted, followed, and cancelled with its launcher.

A launcher that ends in order (an error, Ctrl-C, SIGTERM from the page) cancels the job and waits
until it is gone. One that is killed leaves the job running; the next launch of the same run folder
follows that job instead of submitting another. So that it finds it, the job's name, which nobody
else has, is written to ``slurm.json`` before the job is submitted, and its number afterwards.
Nodes must see the run folder, the inputs and this Python environment under the same paths.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.launch import LOG_LINES, POLL_SECONDS
from tagarela_dagster.training.launching.log import LOG_NAME, tail
from tagarela_dagster.training.launching.processes import die_with_parent
from tagarela_dagster.training.launching.settings import SETTINGS_VARIABLE, Slurm
from tagarela_dagster.training.launching.slurm_job import OUTCOME_NAME
from tagarela_dagster.training.launching.slurm_script import OUTPUT_NAME, job_script

RECORD_NAME = "slurm.json"
SCRIPT_NAME = "slurm.sh"
CANCEL_SECONDS = 120.0
"""How long a cancelled job is waited for: KillWait (30 s by default), and the epilogue."""
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
"""States of a job that does not run again (squeue's manual)."""
GONE = "gone"
"""State of a job that the controller has forgotten."""

logger = logging.getLogger(__name__)


class SilentError(TrainingError):
    """The controller does not answer; the job may well run on."""


@dataclass(frozen=True)
class Job:
    """A job of this user, as the controller knows it."""

    number: str
    state: str
    reason: str = ""


def run_on_slurm(
    module: str,
    arguments: Sequence[str],
    *,
    run: Path,
    processes: int,
    settings: Slurm,
    on_poll: Callable[[], None] | None = None,
) -> None:
    """Run ranks as a Slurm job to their end; follow the job if it runs already.

    Raises:
        TrainingError: Slurm is not there, refuses the job or does not answer, or the job failed.
    """
    job = live_job(run, settings)
    number = job.number if job else ""
    try:
        if not number:
            processes = settings.processes or processes
            number = _submit(module, arguments, run, processes, settings)
        state = _follow(number, settings, on_poll)
    except SilentError:
        raise
    except BaseException:
        if not number and (job := live_job(run, settings)):
            number = job.number  # ended between submitting it and reading its number
        _cancel(run, number, settings)
        raise
    (run / RECORD_NAME).unlink(missing_ok=True)
    if state != "COMPLETED":
        _judge(run, number, state)


def live_job(run: Path, settings: Slurm) -> Job | None:
    """Job that an earlier launcher submitted for this run folder and that has not ended."""
    if not shutil.which("sbatch"):
        raise TrainingError("TAGARELA_TRAINER is slurm, but there is no sbatch on PATH")
    try:
        record = json.loads((run / RECORD_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    # The number is not there when the launcher was killed before it was written.
    which = f"--jobs={record['job']}" if record["job"] else f"--name={record['name']}"
    for job in _ask_patiently(which, settings):
        if job.state not in ENDED:
            logger.info("Slurm job %s (%s) is followed again", job.number, job.state)
            return job
    return None


def _submit(
    module: str, arguments: Sequence[str], run: Path, processes: int, settings: Slurm
) -> str:
    name = f"tagarela-{uuid4().hex[:12]}"
    script = run / SCRIPT_NAME
    with atomic_write(script) as file:
        file.write(
            job_script(
                module, arguments, run=run, processes=processes, settings=settings, name=name
            )
        )
    (run / OUTCOME_NAME).unlink(missing_ok=True)
    _record(run, name, None)
    answer = subprocess.run(
        ["sbatch", "--parsable", str(script)],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=die_with_parent,
    )
    if answer.returncode:
        raise TrainingError(
            f"sbatch refused {script}: {answer.stderr.strip()}. Change {SETTINGS_VARIABLE}"
        )
    number = answer.stdout.strip().partition(";")[0]
    _record(run, name, number)
    logger.info("Slurm job %s is submitted: %s", number, script)
    return number


def _environment() -> dict[str, str]:
    """This environment, without what an allocation that this process may run in would say."""
    own = ("SLURM_", "SLURMD_", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_")
    kept = os.environ.items()
    return {k: v for k, v in kept if k == "SLURM_CONF" or not k.startswith(own)}


def _record(run: Path, name: str, job: str | None) -> None:
    with atomic_write(run / RECORD_NAME) as file:
        json.dump({"name": name, "job": job}, file)


def _follow(number: str, settings: Slurm, on_poll: Callable[[], None] | None) -> str:
    """Last state of the job."""
    known, asked, answered = "", 0.0, time.monotonic()
    while True:
        if on_poll:
            on_poll()
        if time.monotonic() - asked >= settings.poll:
            asked = time.monotonic()
            try:
                job = next(iter(_ask(f"--jobs={number}")), Job(number, GONE))
            except SilentError:
                if asked - answered > settings.patience:
                    raise
            else:
                answered = asked
                if job.state != known:
                    logger.info("Slurm job %s: %s %s", number, job.state, job.reason)
                    known = job.state
                if job.state in {*ENDED, GONE}:
                    return job.state
        time.sleep(min(POLL_SECONDS, settings.poll))


def _ask(which: str) -> list[Job]:
    """Jobs that the controller knows. Raises SilentError when it does not answer."""
    command = ["squeue", "--noheader", "--states=all", "--format=%A|%T|%r", which]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        if "Invalid job id" in answer.stderr:
            return []  # long done: the controller has forgotten it
        raise SilentError(
            f"Slurm does not answer ({answer.stderr.strip()}); the job may run on: start the "
            "training again to follow it"
        )
    return [Job(*line.split("|", 2)) for line in answer.stdout.splitlines()]


def _ask_patiently(which: str, settings: Slurm) -> list[Job]:
    deadline = time.monotonic() + settings.patience
    while True:
        try:
            return _ask(which)
        except SilentError:
            if time.monotonic() > deadline:
                raise
            time.sleep(settings.poll)


def _cancel(run: Path, number: str, settings: Slurm) -> None:
    """Cancel the job, and wait until Slurm has ended all of it."""
    if not number:
        return
    subprocess.run(["scancel", number], check=False, capture_output=True)
    deadline = time.monotonic() + CANCEL_SECONDS
    while time.monotonic() < deadline:
        try:
            if all(job.state in ENDED for job in _ask(f"--jobs={number}")):
                (run / RECORD_NAME).unlink(missing_ok=True)
                return
        except SilentError as error:
            logger.warning("%s", error)
        time.sleep(min(POLL_SECONDS, settings.poll))
    logger.warning("Slurm has not ended job %s in %d s", number, CANCEL_SECONDS)


def _judge(run: Path, number: str, state: str) -> None:
    """Raise TrainingError with why a job failed, unless it did not."""
    said: dict[str, Any] = {}
    if (run / OUTCOME_NAME).exists():
        said = json.loads((run / OUTCOME_NAME).read_text(encoding="utf-8"))
    if said.get("job") == number and state in ("FAILED", GONE):
        if said["status"] == 0:
            return
        raise TrainingError(f"{said['reason']}\nSlurm job {number}; the log is {run / LOG_NAME}")
    log = tail(run / LOG_NAME, LOG_LINES)
    raise TrainingError(
        "\n".join(
            [
                f"Slurm job {number} ended as {state}; its log {run / LOG_NAME} ends with:",
                *(log or ["(nothing)"]),
                f"and Slurm's own words in {run / OUTPUT_NAME} with:",
                *(tail(run / OUTPUT_NAME, LOG_LINES) or ["(nothing)"]),
            ]
        )
    )
