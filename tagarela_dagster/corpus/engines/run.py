"""Run the ranks of a stage with one of datatrove's executors.

One place decides how corpus work is run: every engine takes the same step and gives the same
bytes. Every process that is started here watches the one that started it: a run worker that is
killed leaves none behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep
from loguru import logger

from tagarela_dagster.corpus.engines.settings import EngineError, engine_name, slurm_settings
from tagarela_dagster.provenance.lease import process_start
from tagarela_dagster.provenance.parent import exit_with_parent, exit_with_process

PARALLEL_BYTES = 6_000_000
"""Compressed input below which one process does all: some three seconds of work, which is what it
takes to start workers."""
_watching: set[int] = set()
"""Processes that watch already; a process that is forked of one has another number."""


def bytes_on_disk(paths: Iterable[Path]) -> int:
    """Size of files together."""
    return sum(path.stat().st_size for path in paths)


class _Watched(PipelineStep):
    """First step of a cluster's pipeline: end a worker process whose parent or owner is gone.

    The owner is the process that runs the stage. On another host it is not to be seen, and the
    cluster ends the ranks of a job that is gone.
    """

    type = "Tagarela"
    name = "watch owner"

    def __init__(self) -> None:
        super().__init__()
        self.owner = os.getpid()
        self.started = process_start(self.owner)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore in a worker process, before datatrove logs its first line there."""
        self.__dict__.update(state)
        _quiet()

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        if os.getpid() != self.owner and os.getpid() not in _watching:
            _watching.add(os.getpid())
            exit_with_parent()
            exit_with_process(self.owner, self.started)
        return data


def run_ranks(
    step: PipelineStep, ranks: int, workers: int, logging_dir: Path, input_bytes: int
) -> None:
    """Run ``step`` once for each rank, ``workers`` at a time; finished ranks are skipped.

    Args:
        logging_dir: holds datatrove's completion marks; it must be private to one set of
            inputs and settings (a staging folder is).
        input_bytes: size of all inputs on disk; a small job is done in this process, because
            starting workers would take longer than the work.

    Raises:
        EngineError: a worker was killed, or a cluster ended without doing every rank.
        Exception: whatever a rank raised on this machine.
    """
    if ranks == 0:
        return
    _quiet()
    engine = engine_name()
    workers = min(workers, ranks)
    if input_bytes < PARALLEL_BYTES or (engine == "local" and workers == 1):
        # What the executor would do, without processes, logs and statistics: a small refresh is
        # made of many such jobs.
        for rank in range(ranks):
            step.run(None, rank, ranks)
        return
    if engine == "local":
        from tagarela_dagster.corpus.engines.local import run_on_processes

        run_on_processes([step], ranks, workers, logging_dir)
        return
    pipeline = [_Watched(), step]
    if engine == "ray":
        from tagarela_dagster.corpus.engines.ray import run_on_ray

        run_on_ray(pipeline, ranks, workers, logging_dir)
    else:
        from tagarela_dagster.corpus.engines.slurm import run_on_slurm

        run_on_slurm(pipeline, ranks, workers, logging_dir, slurm_settings())
    _check(engine, ranks, logging_dir)


def _check(engine: str, ranks: int, logging_dir: Path) -> None:
    """Raise EngineError, with the end of its log, unless every rank is done."""
    done = logging_dir / "completions"
    missing = [rank for rank in range(ranks) if not (done / f"{rank:05d}").exists()]
    if not missing:
        return
    logs = sorted(logging_dir.glob(f"**/*{missing[0]}.out")) + sorted(
        logging_dir.glob(f"logs/task_{missing[0]:05d}.log")
    )
    lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if "Error" in line), "see the log")
    raise EngineError(
        f"{engine} ended with {len(missing)} of {ranks} ranks not done; rank {missing[0]}: "
        f"{last.strip()} (logs in {logging_dir})"
    )


def _quiet() -> None:
    """Keep datatrove's log off the terminal, where progress is shown: the ledger says more."""
    logger.disable("datatrove")
