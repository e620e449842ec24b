"""Ranks on a Ray cluster, through datatrove's Ray executor.

RAY_ADDRESS names a cluster that shares the lake's file system; without it a cluster of this
machine's is started for the stage and ended with it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep

from tagarela_dagster.corpus.engines.settings import EngineError

MEMORY_GB = 1
"""Asked for each rank: a stage's memory follows its settings (row groups of 8 MB of text)."""


def run_on_ray(
    pipeline: Sequence[PipelineStep], ranks: int, workers: int, logging_dir: Path
) -> None:
    """Run every rank that is not done, ``workers`` at a time.

    Raises:
        EngineError: Ray is not installed, or its cluster does not answer.
    """
    try:
        import ray
        from datatrove.executor.ray import RayPipelineExecutor
    except ImportError:
        raise EngineError("Ray is not installed: pip install 'tagarela[ray]'") from None
    started = not ray.is_initialized()
    if started:
        address = os.environ.get("RAY_ADDRESS")
        own = {} if address else {"num_cpus": workers, "include_dashboard": False}
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, **own}
        try:
            ray.init(address=address, **options)
        except (ConnectionError, RuntimeError) as error:
            raise EngineError(f"no Ray cluster at RAY_ADDRESS = {address!r}: {error}") from None
    try:
        RayPipelineExecutor(
            pipeline=list(pipeline),
            tasks=ranks,
            workers=workers,
            mem_per_cpu_gb=MEMORY_GB,
            logging_dir=str(logging_dir),
        ).run()
    finally:
        if started:
            ray.shutdown()
