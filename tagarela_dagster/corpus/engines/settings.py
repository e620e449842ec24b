"""Which engine runs corpus work: TAGARELA_ENGINE, and what a cluster must be told.

A recipe says what is built and never where, so this comes from the environment:

    TAGARELA_ENGINE=local                  processes on this machine (the default)
    TAGARELA_ENGINE=ray                    the cluster that RAY_ADDRESS names, else one of its own
    TAGARELA_ENGINE=slurm                  a job array
    TAGARELA_SLURM=partition=cpu,time=04:00:00,mem_per_cpu_gb=4,qos=low
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace

ENGINE_VARIABLE = "TAGARELA_ENGINE"
SLURM_VARIABLE = "TAGARELA_SLURM"
ENGINES = ("local", "ray", "slurm")


class EngineError(RuntimeError):
    """An engine is not there, or ended without doing its ranks; the message says what to do."""


@dataclass(frozen=True)
class Slurm:
    """What ``sbatch`` is told of a job array."""

    partition: str = ""
    """Empty: the cluster's default one."""
    time: str = "24:00:00"
    """Limit of one rank."""
    mem_per_cpu_gb: int = 4
    cpus_per_task: int = 1
    qos: str = ""
    account: str = ""


def engine_name() -> str:
    """The engine that the environment asks for. Raises EngineError for an unknown one."""
    name = os.environ.get(ENGINE_VARIABLE) or "local"
    if name not in ENGINES:
        raise EngineError(f"{ENGINE_VARIABLE} = {name!r}: give one of {', '.join(ENGINES)}")
    return name


def slurm_settings() -> Slurm:
    """Settings of TAGARELA_SLURM. Raises EngineError for a key or value that is none."""
    settings = Slurm()
    known = {field.name: type(getattr(settings, field.name)) for field in fields(Slurm)}
    for part in filter(None, os.environ.get(SLURM_VARIABLE, "").split(",")):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key not in known:
            raise EngineError(f"{SLURM_VARIABLE}: {key!r} is none of {', '.join(known)}")
        try:
            settings = replace(settings, **{key: known[key](value)})
        except ValueError:
            raise EngineError(f"{SLURM_VARIABLE}: {key} = {value!r} is no number") from None
    return settings
