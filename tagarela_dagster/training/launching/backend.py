"""Backend: where the ranks of a stage run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tagarela_dagster.training.launching.launch import launch, torchrun


def is_rank() -> bool:
    """Whether this process was started as a rank."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def run_ranks(
    module: str,
    arguments: Sequence[str],
    *,
    run: Path,
    processes: int,
    on_poll: Callable[[], None] | None = None,
) -> None:
    """Run ``python -m module arguments`` as ranks to their end, output appended to the run's log.

    Raises:
        TrainingError: they failed; the message says why and where the log is.
    """
    command = torchrun(module, arguments, processes)
    launch(command, run=run, processes=processes, on_poll=on_poll)
