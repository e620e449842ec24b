"""Where trainings run: TAGARELA_TRAINER, and what its backend must be told.

A recipe says what is trained and never where, so this comes from the environment:

    TAGARELA_TRAINER=local                 this machine, by torchrun (the default)
    TAGARELA_TRAINER=slurm                 a Slurm job
    TAGARELA_TRAINER=kubernetes            an indexed Job
    TAGARELA_TRAINER_SETTINGS=nodes=2,gpus_per_node=8,partition=gpu,time=2-00:00:00

``processes`` overrides the recipe's number of ranks: the batch of a step stays the recipe's, and
is divided over the ranks that there are (training/pretraining/layout.py).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace

from tagarela_dagster.training.launching.failure import TrainingError

TRAINER_VARIABLE = "TAGARELA_TRAINER"
SETTINGS_VARIABLE = "TAGARELA_TRAINER_SETTINGS"


@dataclass(frozen=True)
class Local:
    """Ranks on this machine."""

    processes: int = 0
    """Ranks; 0: the recipe's."""
    devices: str = ""
    """GPUs by index or UUID, joined by ``+``; ``cpu``: none, one training at a time. Empty: the
    visible ones."""
    device_wait: float = 20.0
    """Seconds to wait for a device that another training has."""
    log_mb: float = 50.0
    """Size at which log.txt becomes log.1.txt."""


@dataclass(frozen=True)
class Slurm:
    """What ``sbatch`` is told, and how the job is followed. Empty: the cluster's default."""

    processes: int = 0
    """Ranks over all nodes; 0: the recipe's."""
    nodes: int = 1
    gpus_per_node: int = 0
    cpus_per_rank: int = 1
    mem_gb: int = 0
    """Memory of a node."""
    partition: str = ""
    time: str = ""
    """Limit; a job that reaches it saves, is queued again, and goes on."""
    qos: str = ""
    account: str = ""
    constraint: str = ""
    reservation: str = ""
    setup: str = ""
    """File that the job sources first (modules, network interfaces)."""
    signal_seconds: int = 120
    """How long before the limit, or a preemption, ranks are asked to save and stop."""
    poll: float = 5.0
    """Seconds between two questions to the controller."""
    patience: float = 900.0
    """Seconds that the controller may leave unanswered before the launcher gives up."""
    log_mb: float = 50.0


@dataclass(frozen=True)
class Kubernetes:
    """What the Job is made of. ``image``, ``claim`` and ``mount`` must be given."""

    image: str = ""
    claim: str = ""
    """PersistentVolumeClaim (ReadWriteMany) that holds the home: inputs and run folders."""
    mount: str = ""
    """Where it is mounted: the path under which this process sees it too."""
    namespace: str = "default"
    context: str = ""
    """Context of the kubeconfig; empty: the current one, or the cluster that this runs in."""
    processes: int = 0
    """Ranks over all pods; 0: the recipe's."""
    nodes: int = 1
    """Pods, one a node."""
    gpus_per_node: int = 0
    cpus_per_node: int = 0
    memory_gb: int = 0
    shm_gb: int = 8
    """/dev/shm, through which NCCL talks within a node; counts as memory."""
    python: str = "python"
    """Interpreter in the image."""
    service_account: str = ""
    pull_secret: str = ""
    environment_secret: str = ""
    """Secret whose keys become environment variables (tokens of trackers)."""
    node_selector: str = ""
    """``key:value``."""
    grace_seconds: int = 120
    """Between SIGTERM and SIGKILL of a pod: time to save."""
    poll: float = 5.0
    patience: float = 900.0
    log_mb: float = 50.0


Settings = Local | Slurm | Kubernetes
TRAINERS: dict[str, Settings] = {"local": Local(), "slurm": Slurm(), "kubernetes": Kubernetes()}


def trainer_settings() -> Settings:
    """Settings of the backend that the environment asks for; their type says which it is.

    Raises:
        TrainingError: the backend, a key or a value is none.
    """
    name = os.environ.get(TRAINER_VARIABLE) or "local"
    if name not in TRAINERS:
        raise TrainingError(f"{TRAINER_VARIABLE} = {name!r}: give one of {', '.join(TRAINERS)}")
    return _parse(TRAINERS[name], os.environ.get(SETTINGS_VARIABLE, ""))


def _parse(settings: Settings, text: str) -> Settings:
    known = {field.name: type(getattr(settings, field.name)) for field in fields(settings)}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key not in known:
            raise TrainingError(f"{SETTINGS_VARIABLE}: {key!r} is none of {', '.join(known)}")
        try:
            settings = replace(settings, **{key: known[key](value)})
        except ValueError:
            raise TrainingError(f"{SETTINGS_VARIABLE}: {key} = {value!r} is no number") from None
        if known[key] is not str and known[key](value) < 0:
            raise TrainingError(f"{SETTINGS_VARIABLE}: {key} = {value!r} is negative")
    return settings


def ranks_per_node(processes: int, nodes: int, gpus_per_node: int) -> int:
    """Ranks on each node, one a GPU. Raises TrainingError when they don't fit."""
    if nodes < 1 or processes % nodes:
        raise TrainingError(
            f"{processes} ranks cannot be divided over {nodes} nodes: change processes or nodes in "
            f"{SETTINGS_VARIABLE}"
        )
    each = processes // nodes
    if gpus_per_node and each > gpus_per_node:
        raise TrainingError(
            f"{each} ranks a node for {gpus_per_node} GPUs, and each rank has one: change "
            f"processes, nodes or gpus_per_node in {SETTINGS_VARIABLE}"
        )
    return each
