"""Peaks of devices: what model FLOPs utilisation (MFU) is a share of.

Several public MFU figures divide by the sparse peak, or by another card's. So a device is known by
its whole name, its peak has a source (peaks.yaml), and an unknown one has no MFU.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TABLE = Path(__file__).parent / "peaks.yaml"
GIB = 2**30


@dataclass(frozen=True)
class Device:
    """A device that models are trained on.

    Attributes:
        names: regular expressions of the names under which torch knows it.
        peaks: type -> dense peak, TFLOP/s.
        memory_gib: memory that a program is offered; 0 where nothing is known.
        watts: highest board power; 0 where nothing is known.
        measured: whether the peak was measured here, and is no datasheet's.
        note: what has to be said with the figures.
    """

    device: str
    names: tuple[str, ...]
    peaks: dict[str, float]
    memory_gib: float
    watts: float
    source: str
    note: str = ""
    measured: bool = False

    def peak(self, precision: str) -> float | None:
        """Dense peak in FLOP/s; None where it has none."""
        found = self.peaks.get(precision)
        return None if found is None else found * 1e12


@cache
def devices() -> tuple[Device, ...]:
    """All known devices."""
    rows: list[dict[str, Any]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return tuple(Device(**{**row, "names": tuple(row["names"])}) for row in rows)


def find_device(name: str) -> Device | None:
    """Device of torch's name (``torch.cuda.get_device_name``); None for an unknown one."""
    for device in devices():
        if any(re.fullmatch(pattern, name) for pattern in device.names):
            return device
    return None


def named_device(name: str) -> Device:
    """Device by the table's name. Raises ValueError for an unknown one."""
    for device in devices():
        if device.device == name:
            return device
    known = ", ".join(device.device for device in devices())
    raise ValueError(f"no device {name!r} in {TABLE.name}; known are: {known}")


def why_no_peak(name: str, precision: str) -> str | None:
    """Why a device has no MFU, in a sentence; None when it has one."""
    device = find_device(name)
    if device is None:
        return (
            f"no MFU: the peak of {name!r} is not known (add it to training/cost/peaks.yaml with "
            "its source)"
        )
    if device.peak(precision) is None:
        return f"no MFU: {device.device} has no {precision} peak"
    return None
