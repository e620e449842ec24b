"""Ranks in worker processes of this machine: datatrove's local executor over a pool that can break.

datatrove's own pool waits for ever for the rank of a worker that was killed, which is what happens
to one when memory is short. Here that ends the stage with an error, and every worker with it; what
was finished stays, and the next run takes it up. The pipeline is sent to a worker once and not
with every rank: it names every shard.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger

from tagarela_dagster.corpus.engines.settings import EngineError
from tagarela_dagster.provenance.lease import process_start
from tagarela_dagster.provenance.parent import end_with_owner

CORPUS = "tagarela_dagster.corpus"
PRELOADED = (
    "datatrove.executor.local",
    f"{CORPUS}.reading",
    f"{CORPUS}.filtering.measure",
    f"{CORPUS}.filtering.decide",
    f"{CORPUS}.dedup.signatures",
    f"{CORPUS}.dedup.deduped",
    f"{CORPUS}.cleaning",
    f"{CORPUS}.engines.warm",
)
"""What the server imports that worker processes are forked from: once, not in every worker."""

_of_worker: list[LocalExecutor] = []
"""In a worker process: the executor whose ranks it runs."""


class LocalExecutor(LocalPipelineExecutor):
    """datatrove's executor; a worker that is killed is an error."""

    def run(self) -> None:
        """Run every rank that is not done.

        Raises:
            EngineError: a worker was killed.
            Exception: whatever a rank raised.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        others = set(multiprocessing.active_children())
        owner = os.getpid(), process_start(os.getpid())
        with ProcessPoolExecutor(
            self.workers, context, initializer=_begin, initargs=(self, *owner)
        ) as pool:
            ranks = self.get_incomplete_ranks(range(self.tasks))
            futures = [pool.submit(_run_rank, rank) for rank in ranks]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in set(multiprocessing.active_children()) - others:
                    worker.terminate()
                if isinstance(error, BrokenProcessPool):
                    raise EngineError(
                        f"a worker process was killed, perhaps for want of memory: run it again, "
                        f"with fewer than {self.workers} workers (TAGARELA_WORKERS) if it is"
                    ) from error
                raise


def run_on_processes(
    pipeline: Sequence[PipelineStep], ranks: int, workers: int, logging_dir: Path
) -> None:
    """Run every rank that is not done, ``workers`` at a time (see ``LocalExecutor.run``)."""
    LocalExecutor(
        pipeline=list(pipeline), tasks=ranks, workers=workers, logging_dir=str(logging_dir)
    ).run()


def _begin(executor: LocalExecutor, owner: int, started: str | None) -> None:
    logger.disable("datatrove")
    end_with_owner(owner, started)
    _of_worker.append(executor)


def _run_rank(rank: int) -> None:
    # The second number is for datatrove's log: only worker 0 would write on the terminal.
    _of_worker[0]._run_for_rank(rank, rank)
