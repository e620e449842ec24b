"""Kubernetes manifests of a training: an indexed Job, a pod a node, and a headless Service.

The Service gives the first pod a name that the others find it by, before it is ready. A Job is one
attempt: no pod is started again by itself, because ranks of two attempts must never meet. When a
pod is evicted or preempted, all ranks save and stop, and the launcher creates the next Job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagarela_dagster.training.launching.failure import FAILURE_VARIABLE, TrainingError
from tagarela_dagster.training.launching.log import MEGABYTE
from tagarela_dagster.training.launching.settings import (
    SETTINGS_VARIABLE,
    Kubernetes,
    ranks_per_node,
)

PORT = 29500
"""Of the first pod, where ranks meet: torchrun's default."""
PRIVATE = ".kubernetes"
LABEL = "app.kubernetes.io/name"
POD_MODULE = "tagarela_dagster.training.launching.pod"
KEPT_SECONDS = 86_400
"""After which the cluster removes a finished Job whose launcher did not."""
Manifest = dict[str, Any]


def failure_path(run: Path, name: str) -> Path:
    """Where the ranks of one Job say why they ended early."""
    return run / PRIVATE / name / "failure.json"


def service_manifest(name: str) -> Manifest:
    """Headless Service of a Job's pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {LABEL: "tagarela"}},
        "spec": {
            "clusterIP": "None",
            "selector": {"job-name": name},
            "publishNotReadyAddresses": True,
            "ports": [{"name": "rendezvous", "port": PORT}],
        },
    }


def job_manifest(
    module: str,
    arguments: Sequence[str],
    *,
    run: Path,
    processes: int,
    settings: Kubernetes,
    name: str,
    environment: Mapping[str, str],
) -> Manifest:
    """Job that runs ``python -m module arguments`` as ranks.

    Args:
        name: of the Job and its Service, at most 50 characters.
        environment: more variables for every pod.

    Raises:
        TrainingError: a setting is missing, or the ranks don't fit the pods.
    """
    missing = [key for key in ("image", "claim", "mount") if not getattr(settings, key)]
    if missing:
        raise TrainingError(
            f"{SETTINGS_VARIABLE} lacks {', '.join(missing)}: see docs/launching.md"
        )
    if not run.is_relative_to(settings.mount):
        raise TrainingError(
            f"{run} is not below mount = {settings.mount}, where pods have the claim "
            f"{settings.claim}: put the home there (TAGARELA_HOME)"
        )
    each = ranks_per_node(processes, settings.nodes, settings.gpus_per_node)
    command = [
        *(settings.python, "-m", POD_MODULE, str(run), str(settings.log_mb * MEGABYTE)),
        *(str(settings.nodes), str(each), module, *arguments),
    ]
    variables = {
        **environment,
        "MASTER_ADDR": f"{name}-0.{name}",
        "MASTER_PORT": str(PORT),
        "TAGARELA_HOME": settings.mount,
        FAILURE_VARIABLE: str(failure_path(run, name)),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {LABEL: "tagarela"}},
        "spec": {
            "completionMode": "Indexed",
            "completions": settings.nodes,
            "parallelism": settings.nodes,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {"labels": {LABEL: "tagarela"}},
                "spec": _pod(command, variables, name, settings),
            },
        },
    }


def _pod(
    command: list[str], variables: Mapping[str, str], name: str, settings: Kubernetes
) -> Manifest:
    env: list[Manifest] = [{"name": key, "value": value} for key, value in variables.items()]
    env.append({"name": "TAGARELA_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    container: Manifest = {
        "name": "ranks",
        "image": settings.image,
        "command": command,
        "env": env,
        "resources": _resources(settings),
        "volumeMounts": [
            {"name": "home", "mountPath": settings.mount},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
        "securityContext": {"allowPrivilegeEscalation": False},
    }
    if settings.environment_secret:
        container["envFrom"] = [{"secretRef": {"name": settings.environment_secret}}]
    pod: Manifest = {
        "restartPolicy": "Never",
        "subdomain": name,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": settings.grace_seconds,
        "containers": [container],
        "volumes": [
            {"name": "home", "persistentVolumeClaim": {"claimName": settings.claim}},
            {
                "name": "shm",
                "emptyDir": {"medium": "Memory", "sizeLimit": f"{settings.shm_gb}Gi"},
            },
        ],
    }
    if settings.service_account:
        pod["serviceAccountName"] = settings.service_account
    if settings.pull_secret:
        pod["imagePullSecrets"] = [{"name": settings.pull_secret}]
    if settings.node_selector:
        key, _, value = settings.node_selector.partition(":")
        pod["nodeSelector"] = {key: value}
    return pod


def _resources(settings: Kubernetes) -> Manifest:
    """Requests equal to limits, so that the pod is the last to be evicted."""
    amounts = {
        "nvidia.com/gpu": str(settings.gpus_per_node or ""),
        "cpu": str(settings.cpus_per_node or ""),
        "memory": f"{settings.memory_gb}Gi" if settings.memory_gb else "",
    }
    given = {name: amount for name, amount in amounts.items() if amount}
    return {"requests": given, "limits": given} if given else {}
