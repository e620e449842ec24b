"""Run the ranks of a stage with datatrove's local executor.

One place decides how corpus work is run; a Slurm or Ray executor takes the same step. Worker
processes watch their parent: a run worker that is killed leaves none behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger

from tagarela_dagster.provenance.parent import exit_with_parent

PARALLEL_BYTES = 2_000_000
"""Compressed input below which one process does all: about a second of work."""


def bytes_on_disk(paths: Iterable[Path]) -> int:
    """Size of files together."""
    return sum(path.stat().st_size for path in paths)


class _Watched(PipelineStep):
    """First step of every pipeline: end a worker process whose parent is gone."""

    type = "Tagarela"
    name = "watch parent"

    def __init__(self) -> None:
        super().__init__()
        self.owner = os.getpid()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore in a worker process, before datatrove logs its first line there."""
        self.__dict__.update(state)
        _quiet()

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        if os.getpid() != self.owner:
            exit_with_parent()
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
        Exception: whatever a rank raised.
    """
    if ranks == 0:
        return
    _quiet()
    if input_bytes < PARALLEL_BYTES:
        workers = 1
    LocalPipelineExecutor(
        pipeline=[_Watched(), step],
        tasks=ranks,
        workers=min(workers, ranks),
        logging_dir=str(logging_dir),
        start_method="forkserver",
    ).run()


def _quiet() -> None:
    """Keep datatrove's log off the terminal, where progress is shown: the ledger says more."""
    logger.disable("datatrove")
