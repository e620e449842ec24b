"""Kubernetes backend: a training as an indexed Job, created, followed, deleted with its launcher.

A launcher that ends in order deletes the Job and waits until its pods are gone. One that is killed
leaves it, and the next launch of the run folder follows it: its name is written to
``kubernetes.json`` before it is created. When ranks were asked to stop (eviction, preemption) and
have saved, the next Job is created, and goes on. Needs the ``kubernetes`` package.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.training.launching.cluster import Cluster
from tagarela_dagster.training.launching.failure import TrainingError, read_outcome
from tagarela_dagster.training.launching.kubernetes_job import (
    failure_path,
    job_manifest,
    service_manifest,
)
from tagarela_dagster.training.launching.launch import LOG_LINES, POLL_SECONDS
from tagarela_dagster.training.launching.log import LOG_NAME
from tagarela_dagster.training.launching.settings import Kubernetes

RECORD_NAME = "kubernetes.json"
PASSED_ON = ("TAGARELA_LOG", "WANDB_", "MLFLOW_", "NCCL_", "GLOO_", "TORCH_")
"""Variables that pods get from the launcher, by how they begin; secrets come from a Secret."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """Who else wants to hear of the first pod: Dagster Pipes (resources/kubernetes_trainer.py).

    Attributes:
        environment: variables for the pods.
        on_pod: called in a thread with the core API, the first pod's name and its namespace once
            it runs.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    on_pod: Callable[[Any, str, str], None] | None = None


_watch: ContextVar[Watch] = ContextVar("watch", default=Watch())  # noqa: B039


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Jobs that are created within are watched so."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def run_on_kubernetes(
    module: str,
    arguments: Sequence[str],
    *,
    run: Path,
    processes: int,
    settings: Kubernetes,
    on_poll: Callable[[], None] | None = None,
) -> None:
    """Run ranks as Jobs to their end; follow a Job that runs already.

    Raises:
        TrainingError: the cluster refuses the Job or does not answer, or the ranks failed.
    """
    cluster = Cluster(settings)
    name = live_job(run, settings)
    base = name.rpartition("-")[0] if name else f"tagarela-{uuid4().hex[:12]}"
    attempt = int(name.rpartition("-")[2]) if name else 0
    while True:
        if name is None:
            name = f"{base}-{attempt}"
            job = job_manifest(
                module,
                arguments,
                run=run,
                processes=settings.processes or processes,
                settings=settings,
                name=name,
                environment={**_environment(), **_watch.get().environment},
            )
            with atomic_write(run / RECORD_NAME) as file:
                json.dump({"name": name}, file)
            cluster.create(service_manifest(name), job)
            logger.info("Job %s is created in %s", name, settings.namespace)
        try:
            complete = _follow(cluster, name, on_poll)
            ends = "" if complete else cluster.ends_of_pods(name, LOG_LINES)
        except cluster.Silent:
            raise
        except BaseException:
            cluster.delete(name, wait_seconds=settings.grace_seconds + 30)
            (run / RECORD_NAME).unlink(missing_ok=True)
            raise
        cluster.delete(name, wait_seconds=settings.grace_seconds + 30)
        (run / RECORD_NAME).unlink(missing_ok=True)
        said = read_outcome(failure_path(run, name))
        if complete:
            return
        if not (said and said.stopped):
            first = f"{said.reason}\n" if said else ""
            raise TrainingError(
                f"{first}Job {name} failed; the log is {run / LOG_NAME}; its pods:\n{ends}"
            )
        logger.info("Job %s: %s; the next one goes on", name, said.reason)
        name, attempt = None, attempt + 1


def live_job(run: Path, settings: Kubernetes) -> str | None:
    """Job of an earlier launcher for this run folder that has not ended."""
    try:
        name = json.loads((run / RECORD_NAME).read_text(encoding="utf-8"))["name"]
    except FileNotFoundError:
        return None
    cluster = Cluster(settings)
    state = cluster.patiently(lambda: cluster.state(name))
    return name if state == "active" else None


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith(PASSED_ON)}


def _follow(cluster: Cluster, name: str, on_poll: Callable[[], None] | None) -> bool:
    """Whether the Job completed; False when it failed or somebody has deleted it."""
    asked, known, reader = 0.0, "", None
    while True:
        if on_poll:
            on_poll()
        if time.monotonic() - asked >= cluster.settings.poll:
            asked = time.monotonic()
            state = cluster.patiently(lambda: cluster.state(name))
            if state != "active":
                if reader:
                    reader.join(30)
                return state == "complete"
            pods = cluster.patiently(lambda: cluster.pods(name))
            words = ", ".join(f"{pod.name} {pod.words}" for pod in pods)
            if words != known:
                logger.info("Job %s: %s", name, words or "no pods yet")
                known = words
            if hopeless := [pod for pod in pods if pod.hopeless]:
                raise TrainingError(f"Job {name} cannot start: {hopeless[0].words}")
            if reader is None:
                reader = _start_reader(cluster, pods)
        time.sleep(min(POLL_SECONDS, cluster.settings.poll))


def _start_reader(cluster: Cluster, pods: Sequence[Any]) -> threading.Thread | None:
    on_pod = _watch.get().on_pod
    first = next((pod for pod in pods if pod.index == 0 and pod.started), None)
    if on_pod is None or first is None:
        return None
    where = (cluster.core, first.name, cluster.settings.namespace)
    reader = threading.Thread(target=on_pod, args=where, name="pod-log", daemon=True)
    reader.start()
    return reader
