"""Script of a Slurm job, written into the run folder: readable, and usable by hand."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tagarela_dagster.training.launching.log import MEGABYTE
from tagarela_dagster.training.launching.settings import Slurm, ranks_per_node

OUTPUT_NAME = "slurm.txt"
"""What Slurm itself says: cancelled, out of memory, out of time."""
_JOB = "tagarela_dagster.training.launching.slurm_job"


def job_script(
    module: str,
    arguments: Sequence[str],
    *,
    run: Path,
    processes: int,
    settings: Slurm,
    name: str,
) -> str:
    """Text of the script.

    Args:
        name: of the job; the launcher finds it by that.

    Raises:
        TrainingError: the ranks don't fit the nodes.
    """
    each = ranks_per_node(processes, settings.nodes, settings.gpus_per_node)
    output = str(run / OUTPUT_NAME).replace("%", "%%")
    options = {
        "job-name": name,
        "comment": f"Tagarela: {run}",
        "output": output,
        "open-mode": "append",
        "nodes": settings.nodes,
        "ntasks": processes,
        "ntasks-per-node": each,
        "cpus-per-task": settings.cpus_per_rank,
        "gres": f"gpu:{settings.gpus_per_node}" if settings.gpus_per_node else "",
        "mem": f"{settings.mem_gb}G" if settings.mem_gb else "",
        "partition": settings.partition,
        "time": settings.time,
        "qos": settings.qos,
        "account": settings.account,
        "constraint": settings.constraint,
        "reservation": settings.reservation,
    }
    lines = [f"#SBATCH --{key}={_quoted(value)}" for key, value in options.items() if value]
    command = [
        *(sys.executable, "-u", "-m", _JOB, str(run), str(settings.log_mb * MEGABYTE)),
        *(module, *arguments),
    ]
    return "\n".join(
        [
            "#!/bin/bash",
            f"# A training of Tagarela: {processes} ranks, {each} on each of {settings.nodes}",
            f"# nodes. They log to log.txt beside this file, Slurm itself to {OUTPUT_NAME}.",
            "# Queued again after a preemption, a lost node or its time limit, it goes on from",
            "# the newest checkpoint; submitted a second time while it runs, it refuses.",
            *lines,
            "#SBATCH --requeue",
            "# Ask the ranks to save and stop, before a limit or a preemption:",
            f"#SBATCH --signal=B:USR1@{settings.signal_seconds}",
            "",
            *([f"source {shlex.quote(settings.setup)}"] if settings.setup else []),
            f"exec {shlex.join(command)}",
            "",
        ]
    )


def _quoted(value: object) -> str:
    """As sbatch reads it: it takes double quotes off, and splits at spaces without them."""
    text = str(value)
    return f'"{text}"' if " " in text else text
