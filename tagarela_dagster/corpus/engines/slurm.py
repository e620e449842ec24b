"""Ranks as a Slurm job array, through datatrove's Slurm executor; this process waits for it.

Nodes must see the lake and this Python environment under the same paths, as they do on a cluster
with a shared file system. When this process is interrupted, the array is cancelled.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from tagarela_dagster.corpus.engines.settings import SLURM_VARIABLE, EngineError, Slurm

POLL_SECONDS = 2.0
PATIENCE = 5
"""Polls in a row that the controller may leave unanswered before the stage fails."""


class _Array(SlurmPipelineExecutor):
    def launch_merge_stats(self) -> None:
        """Leave out datatrove's second job, which sums statistics that the ledger has."""


def run_on_slurm(
    pipeline: Sequence[PipelineStep], ranks: int, workers: int, logging_dir: Path, settings: Slurm
) -> None:
    """Run every rank that is not done as one job array, ``workers`` at a time, and wait.

    Raises:
        EngineError: there is no Slurm here, it refuses the job, or it does not answer.
    """
    if not shutil.which("sbatch"):
        raise EngineError("TAGARELA_ENGINE is slurm, but there is no sbatch on PATH")
    more = {name: value for name in ("account",) if (value := getattr(settings, name))}
    array = _Array(
        pipeline=list(pipeline),
        tasks=ranks,
        workers=workers,
        time=settings.time,
        partition=settings.partition or _default_partition(),
        cpus_per_task=settings.cpus_per_task,
        mem_per_cpu_gb=settings.mem_per_cpu_gb,
        qos=settings.qos or None,
        job_name=f"tagarela-{logging_dir.parent.name.strip('.')}",
        venv_path=str(Path(sys.prefix) / "bin" / "activate"),
        sbatch_args=more,
        logging_dir=str(logging_dir),
    )
    try:
        array.run()
    except subprocess.CalledProcessError as error:
        raise EngineError(
            f"sbatch refused the job (its words are above): change {SLURM_VARIABLE}, now {settings}"
        ) from error
    if array.job_id in (None, -1):
        return  # every rank was done before
    job = str(array.job_id)
    try:
        _wait(job)
    except BaseException:
        subprocess.run(["scancel", job], check=False, capture_output=True)
        raise


def _wait(job: str) -> None:
    silent = 0
    while True:
        command = ["squeue", "--noheader", "--jobs", job, "--format", "%T"]
        answer = subprocess.run(command, check=False, capture_output=True, text=True)
        if answer.returncode == 0 and not answer.stdout.strip():
            return
        if answer.returncode and "Invalid job id" in answer.stderr:
            return  # long done: the controller has forgotten it
        silent = silent + 1 if answer.returncode else 0
        if silent > PATIENCE:
            raise EngineError(f"Slurm does not answer about job {job}: {answer.stderr.strip()}")
        time.sleep(POLL_SECONDS)


def _default_partition() -> str:
    answer = subprocess.run(
        ["sinfo", "--noheader", "--format", "%P"], check=False, capture_output=True, text=True
    )
    names = answer.stdout.split()
    if answer.returncode or not names:
        raise EngineError(f"Slurm names no partition: {answer.stderr.strip() or 'sinfo is empty'}")
    marked = [name for name in names if name.endswith("*")]
    return (marked or names)[0].rstrip("*")
