"""Machines that a recipe is planned for, and the speed that is assumed on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from tagarela_dagster.recipe.base import Section
from tagarela_dagster.training.cost.peaks import GIB, Device, named_device

TABLE = Path(__file__).parent / "clusters.yaml"
ANCHORS = Path(__file__).parent / "anchors.yaml"
HERE = "here"
"""Name of the machine that the command runs on."""
RECOMPUTED = 0.75
"""Share of the work that counts when blocks are computed again: 3 of 4 forward passes."""


class Cluster(Section):
    """A machine or many of one kind."""

    name: str = ""
    device: str | None = None
    """Name in peaks.yaml; none means the processor."""
    devices_per_node: int = Field(default=1, ge=1)
    nodes: int = Field(default=1, ge=1)
    host_gib: float | None = Field(default=None, gt=0)
    """Memory of a node; none means that it is not known, and not checked."""
    country: str = ""
    """ISO 3166 alpha-3 code, for emissions."""
    source: str = ""
    note: str = ""

    @property
    def devices(self) -> int:
        """Devices, and so ranks, at most."""
        return self.devices_per_node * self.nodes

    def known_device(self) -> Device | None:
        """Its device; None for a processor. Raises ValueError for a name that is not known."""
        return named_device(self.device) if self.device else None

    def memory(self, ranks: int) -> tuple[int, int | None]:
        """Bytes of the device, and of the host, for each of ``ranks`` ranks.

        Raises:
            ValueError: a processor whose memory is not said.
        """
        on_a_node = min(ranks, self.devices_per_node)
        host = None if self.host_gib is None else int(self.host_gib * GIB)
        device = self.known_device()
        if device is not None:
            return int(device.memory_gib * GIB), None if host is None else host // on_a_node
        if host is None:
            raise ValueError(f"cluster {self.name} has no device and no host_gib: give one")
        return host // math.ceil(ranks / self.nodes), None


@cache
def clusters() -> dict[str, Cluster]:
    """All known clusters by name."""
    rows: dict[str, Any] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return {name: Cluster(name=name, **row) for name, row in rows.items()}


def find_cluster(name: str) -> Cluster:
    """Cluster of a name in the table, of a YAML file, or ``here``.

    Raises:
        ValueError: none of these, or a file that does not describe one.
    """
    if name == HERE:
        return _here()
    if name in clusters():
        return clusters()[name]
    path = Path(name).expanduser()
    if not path.is_file():
        known = ", ".join((HERE, *clusters()))
        raise ValueError(f"no cluster {name!r}: give a YAML file, or one of {known}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        cluster = Cluster.model_validate({"name": path.stem, **(values or {})})
    except (yaml.YAMLError, ValidationError, TypeError) as error:
        fields = ", ".join(Cluster.model_fields)
        raise ValueError(f"{path} describes no cluster ({fields}): {error}") from None
    cluster.known_device()
    return cluster


@dataclass(frozen=True)
class Speed:
    """An assumed model FLOPs utilisation, and what it rests on."""

    mfu: float
    sentence: str


def assumed_speed(device: Device, parameters: int, *, checkpointing: bool) -> Speed:
    """Of the measured systems, the nearest in size, on the same family of devices if there is."""
    rows: list[dict[str, Any]] = yaml.safe_load(ANCHORS.read_text(encoding="utf-8"))
    same = [row for row in rows if row["family"] in device.device]
    billions = parameters / 1e9
    near = min(same or rows, key=lambda row: abs(math.log(row["billions"] / billions)))
    mfu = near["mfu"] * (RECOMPUTED if checkpointing else 1)
    sentence = f"MFU {mfu:.0%}: {near['system']} on {near['family']} ({near['source']})"
    if checkpointing:
        sentence += ", x 3/4 for what activation checkpointing computes again"
    if not same:
        sentence += f"; nothing measured on {device.device}"
    return Speed(mfu, sentence)


def _here() -> Cluster:
    """This machine, as torch and the operating system see it."""
    import psutil
    import torch

    from tagarela_dagster.training.cost.peaks import find_device

    host = psutil.virtual_memory().total / GIB
    if not torch.cuda.is_available():
        return Cluster(name=HERE, devices_per_node=1, host_gib=host)
    name = torch.cuda.get_device_name(0)
    device = find_device(name)
    if device is None:
        raise ValueError(f"the peak of {name!r} is not known: add it to training/cost/peaks.yaml")
    count = torch.cuda.device_count()
    return Cluster(name=HERE, device=device.device, devices_per_node=count, host_gib=host)
