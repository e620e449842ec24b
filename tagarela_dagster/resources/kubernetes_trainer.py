"""Trainer on Kubernetes: Dagster Pipes between the first pod of a training's Job and the page.

What the ranks write stands in the page as the step's output while they run, and what the pod has
to say in the run's log. The Job itself is training/launching/kubernetes.py, which also works
without Dagster; dagster-k8s's own client starts single pods, and a training wants many.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster import (
    AssetExecutionContext,
    OpExecutionContext,
    PipesEnvContextInjector,
    open_pipes_session,
)

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.kubernetes import Watch, watched
from tagarela_dagster.training.launching.settings import Kubernetes, trainer_settings


@contextmanager
def pipes_to_pods(context: AssetExecutionContext | OpExecutionContext) -> Iterator[None]:
    """Connect what is trained within to ``context``, where TAGARELA_TRAINER is kubernetes.

    Raises:
        TrainingError: dagster-k8s is not installed.
    """
    if not isinstance(trainer_settings(), Kubernetes):
        yield
        return
    try:
        from dagster_k8s import PipesK8sPodLogsMessageReader
    except ImportError as error:
        raise TrainingError(
            "TAGARELA_TRAINER is kubernetes: pip install 'tagarela[kubernetes]' (dagster-k8s)"
        ) from error
    reader = PipesK8sPodLogsMessageReader()

    def read(core: Any, pod: str, namespace: str) -> None:
        reader.consume_pod_logs(context, core, pod, namespace)

    with (
        open_pipes_session(context, PipesEnvContextInjector(), reader) as session,
        watched(Watch(session.get_bootstrap_env_vars(), read)),
    ):
        yield
