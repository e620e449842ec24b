"""The few things that a launcher asks of a Kubernetes cluster, through its Python client."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.settings import Kubernetes

HOPELESS = {"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"}
"""Reasons to wait that no waiting ends (kubernetes/pkg/kubelet/images/types.go and
kuberuntime/kuberuntime_container.go)."""
REQUEST_SECONDS = 30.0

logger = logging.getLogger(__name__)
T = TypeVar("T")
State = Literal["active", "complete", "failed", "gone"]


@dataclass(frozen=True)
class Pod:
    """What a launcher wants to know of a pod."""

    name: str
    index: int
    words: str
    started: bool
    failed: bool
    hopeless: bool


class SilentError(TrainingError):
    """The cluster does not answer; the Job may well run on."""


class Cluster:
    """The cluster of the kubeconfig, or the one that this process runs in."""

    Silent = SilentError

    def __init__(self, settings: Kubernetes) -> None:
        try:
            import kubernetes
        except ImportError as error:
            raise TrainingError(
                "TAGARELA_TRAINER is kubernetes: pip install 'tagarela[kubernetes]'"
            ) from error
        self.settings = settings
        if os.environ.get("KUBERNETES_SERVICE_HOST") and not settings.context:
            kubernetes.config.load_incluster_config()
        else:
            kubernetes.config.load_kube_config(context=settings.context or None)
        self.core = kubernetes.client.CoreV1Api()
        self.batch = kubernetes.client.BatchV1Api()
        self._error = kubernetes.client.ApiException

    def create(self, service: dict[str, Any], job: dict[str, Any]) -> None:
        """Create a Job and its Service. Raises TrainingError with the cluster's words."""
        namespace = self.settings.namespace
        try:
            self.core.create_namespaced_service(namespace, service)
            self.batch.create_namespaced_job(namespace, job)
        except self._error as error:
            raise TrainingError(
                f"the cluster refuses {job['metadata']['name']}: {error.reason}: {error.body}"
            ) from error

    def state(self, name: str) -> State:
        """State of a Job."""
        job = self._or_none(
            lambda: self.batch.read_namespaced_job(
                name, self.settings.namespace, _request_timeout=REQUEST_SECONDS
            )
        )
        if job is None:
            return "gone"
        true = {c.type for c in job.status.conditions or [] if c.status == "True"}
        if "Complete" in true:
            return "complete"
        return "failed" if "Failed" in true else "active"

    def pods(self, name: str) -> list[Pod]:
        """Pods of a Job, in order."""
        found = self.core.list_namespaced_pod(
            self.settings.namespace,
            label_selector=f"job-name={name}",
            _request_timeout=REQUEST_SECONDS,
        )
        return sorted((_pod(pod) for pod in found.items), key=lambda pod: pod.index)

    def ends_of_pods(self, name: str, lines: int) -> str:
        """How each pod of a Job ended, and the end of the log of those that failed."""
        ends = []
        for pod in self.patiently(lambda: self.pods(name)):
            ends.append(f"{pod.name} {pod.words}")
            if pod.failed:
                ends += self._log(pod.name, lines)
        return "\n".join(ends or ["(none is left to ask)"])

    def _log(self, pod: str, lines: int) -> list[str]:
        # Left to itself, the client makes the text the repr of its bytes.
        answer = self._or_none(
            lambda: self.core.read_namespaced_pod_log(
                pod, self.settings.namespace, tail_lines=lines, _preload_content=False
            )
        )
        return answer.data.decode("utf-8", "replace").splitlines() if answer else ["(no log)"]

    def delete(self, name: str, wait_seconds: float) -> None:
        """Delete a Job with its pods and its Service, and wait until they are gone."""
        namespace = self.settings.namespace
        options = {"propagation_policy": "Foreground"}
        self._or_none(lambda: self.batch.delete_namespaced_job(name, namespace, **options))
        self._or_none(lambda: self.core.delete_namespaced_service(name, namespace))
        deadline = time.monotonic() + wait_seconds
        while self.patiently(lambda: self.state(name)) != "gone":
            if time.monotonic() > deadline:
                logger.warning("the cluster has not ended Job %s in %d s", name, wait_seconds)
                return
            time.sleep(min(1.0, self.settings.poll))

    def patiently(self, ask: Callable[[], T]) -> T:
        """Answer of the cluster, which may be away for a while. Raises SilentError."""
        import urllib3

        deadline = time.monotonic() + self.settings.patience
        while True:
            try:
                return ask()
            except (self._error, urllib3.exceptions.HTTPError) as error:
                status = getattr(error, "status", 500)
                if status in (401, 403, 422):
                    raise TrainingError(f"the cluster refuses: {error}") from error
                if time.monotonic() > deadline:
                    raise SilentError(
                        f"the cluster does not answer ({error}); the Job may run on: start the "
                        "training again to follow it"
                    ) from error
                time.sleep(self.settings.poll)

    def _or_none(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except self._error as error:
            if error.status != 404:
                raise
            return None


def _pod(pod: Any) -> Pod:
    statuses = pod.status.container_statuses or []
    waiting = statuses[0].state.waiting if statuses and statuses[0].state else None
    ended = statuses[0].state.terminated if statuses and statuses[0].state else None
    words = pod.status.phase
    if waiting:
        words = f"{words}: {waiting.reason} {waiting.message or ''}".strip()
    elif ended:
        words = f"{words}: {ended.reason} (status {ended.exit_code})"
    elif pod.status.reason:
        words = f"{words}: {pod.status.reason} {pod.status.message or ''}".strip()
    else:
        for condition in pod.status.conditions or []:
            if condition.type == "PodScheduled" and condition.status == "False":
                words = f"{words}: {condition.reason} {condition.message or ''}".strip()
    return Pod(
        name=pod.metadata.name,
        index=int(pod.metadata.annotations["batch.kubernetes.io/job-completion-index"]),
        words=words,
        started=pod.status.phase in ("Running", "Succeeded", "Failed"),
        failed=pod.status.phase == "Failed",
        hopeless=bool(waiting and waiting.reason in HOPELESS),
    )
