"""Backend: where the ranks of a training run. The environment chooses (settings.py)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tagarela_dagster.training.launching.launch import run_locally
from tagarela_dagster.training.launching.rank import is_rank
from tagarela_dagster.training.launching.settings import Kubernetes, Slurm, trainer_settings

__all__ = ["is_rank", "is_running", "run_ranks"]


def run_ranks(
    module: str,
    arguments: Sequence[str],
    *,
    run: Path,
    processes: int,
    on_poll: Callable[[], None] | None = None,
) -> None:
    """Run ``python -m module arguments`` as ranks to their end, output appended to the run's log.

    A cluster's job that an earlier launcher of this run folder left running is followed instead of
    another being submitted.

    Args:
        run: run folder; on a cluster under the same path everywhere.
        processes: ranks that the recipe asks for; settings may say otherwise.
        on_poll: called about every second while they run; what it raises ends them.

    Raises:
        TrainingError: they failed; the message says why and where the log is.
    """
    settings = trainer_settings()
    with _termination_as_exception():
        if isinstance(settings, Slurm):
            from tagarela_dagster.training.launching.slurm import run_on_slurm

            run_on_slurm(
                module,
                arguments,
                run=run,
                processes=processes,
                settings=settings,
                on_poll=on_poll,
            )
        elif isinstance(settings, Kubernetes):
            from tagarela_dagster.training.launching.kubernetes import run_on_kubernetes

            run_on_kubernetes(
                module,
                arguments,
                run=run,
                processes=processes,
                settings=settings,
                on_poll=on_poll,
            )
        else:
            run_locally(
                module,
                arguments,
                run=run,
                processes=processes,
                settings=settings,
                on_poll=on_poll,
            )


def is_running(run: Path) -> bool:
    """Whether a cluster's job of an earlier launcher still works in this run folder.

    Then the folder is in use by right: ``run_ranks`` follows that job, and nobody prepares the
    folder for another one.
    """
    settings = trainer_settings()
    if isinstance(settings, Slurm):
        from tagarela_dagster.training.launching import slurm

        return slurm.live_job(run, settings) is not None
    if isinstance(settings, Kubernetes):
        from tagarela_dagster.training.launching import kubernetes

        return kubernetes.live_job(run, settings) is not None
    return False


@contextmanager
def _termination_as_exception() -> Iterator[None]:
    """SIGTERM raises, so that a cluster's job is cancelled by it as by Ctrl-C.

    Where somebody handles it already (Dagster's step does) nothing is changed.
    """

    def raise_exit(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, raise_exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
