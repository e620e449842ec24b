"""Slurm job: what runs on the first node of the allocation, and minds the ranks of all of them.

    python -m tagarela_dagster.training.launching.slurm_job RUN LOG_BYTES MODULE ARGUMENT…

It starts a rank for each task (``srun``; Slurm itself ends all of them when one fails, when the
job is cancelled, and when a node is lost), pumps their output into the run's log, and asks them to
save and stop when Slurm sends USR1 (the time limit is near, or the job is preempted). A job that
has saved for this reason puts itself into the queue again, and goes on from there. What it has to
say at its end it leaves in ``slurm-outcome.json`` for the launcher, which may be gone by then.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.training.launching.failure import FAILURE_VARIABLE, read_outcome
from tagarela_dagster.training.launching.launch import reason
from tagarela_dagster.training.launching.log import LOG_NAME, Log
from tagarela_dagster.training.launching.preemption import STOP_VARIABLE, STOPPED_STATUS
from tagarela_dagster.training.launching.rank import GENTLE_VARIABLE
from tagarela_dagster.training.launching.rank import MODULE as RANK
from tagarela_dagster.training.launching.supervise import Supervisor

OUTCOME_NAME = "slurm-outcome.json"
PRIVATE = ".slurm"
PORTS = range(20_000, 30_000)
"""Below the ports that Linux gives to outgoing connections (32768 on)."""
REQUEUE_SECONDS = 60.0
"""Within which Slurm ends a job that has put itself into the queue again."""


def main() -> int:
    """Entry point of the job."""
    folder, log_bytes, module, *arguments = sys.argv[1:]
    run = Path(folder)
    job, restart = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_RESTART_COUNT", "0")
    # Slurm may run a job twice under one number and restart count: what is private is named apart.
    private = run / PRIVATE / f"{job}-{restart}-{uuid4().hex[:8]}"
    private.mkdir(parents=True)
    failure = private / "failure.json"
    os.environ |= {
        FAILURE_VARIABLE: str(failure),
        STOP_VARIABLE: str(private / "stop"),
        GENTLE_VARIABLE: "1",
        "MASTER_ADDR": _address(),
        "MASTER_PORT": str(_free_port(int(job))),
        "PYTHONUNBUFFERED": "1",
    }
    path = run / LOG_NAME
    log = Log(path, float(log_bytes))
    log.begin(f"Slurm job {job}, restart {restart}, nodes {os.environ['SLURM_JOB_NODELIST']}")
    started = path.stat().st_size
    # KillWait of the cluster follows a SIGTERM with SIGKILL.
    supervisor = Supervisor(
        _srun(module, arguments), parent=os.getppid(), grace_seconds=5, log=log, gentle=True
    )
    status = supervisor.run()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    said = read_outcome(failure)
    stopped = said is not None and said.stopped
    why = said.reason if said else (reason(path, started, status) if status else "")
    outcome = {"job": job, "restart": int(restart), "status": status, "stopped": stopped}
    with atomic_write(run / OUTCOME_NAME) as file:
        json.dump({**outcome, "reason": why}, file, ensure_ascii=False, indent=1)
    shutil.rmtree(private)
    if stopped and supervisor.stop_asked == signal.SIGUSR1:
        _requeue(job, log)
    return STOPPED_STATUS if stopped else status


def _srun(module: str, arguments: list[str]) -> list[str]:
    environment = os.environ
    return [
        *("srun", "--kill-on-bad-exit=1", "--input=none", "--export=ALL"),
        f"--nodes={environment['SLURM_NNODES']}",
        f"--ntasks={environment['SLURM_NTASKS']}",
        f"--ntasks-per-node={environment['SLURM_NTASKS_PER_NODE']}",
        # srun does not take it over from sbatch (Slurm 22.05 and later).
        f"--cpus-per-task={environment.get('SLURM_CPUS_PER_TASK', '1')}",
        *(sys.executable, "-m", RANK, module, *arguments),
    ]


def _address() -> str:
    """Address by which Slurm itself reaches this node."""
    name = os.environ["SLURMD_NODENAME"]
    answer = subprocess.run(
        ["scontrol", "show", "node", name, "--oneliner"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"\bNodeAddr=(\S+)", answer.stdout)
    return found[1] if found else name


def _free_port(seed: int) -> int:
    """A port of this node that nobody listens on."""
    for port in random.Random(seed).sample(PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port between {PORTS.start} and {PORTS.stop}")


def _requeue(job: str, log: Log) -> None:
    """Into the queue again; Slurm then ends this process, and maybe the command itself."""
    log.write(f"job {job} has saved and goes into the queue again\n".encode())
    command = ["scontrol", "requeue", job]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode > 0:
        log.write(f"Slurm does not take it: {answer.stderr}".encode())
        return
    time.sleep(REQUEUE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
