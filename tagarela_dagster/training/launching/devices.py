"""Devices of a training: a lock each, so that two trainings never share one.

A launcher takes the locks of as many free devices as it has ranks, and shows only those to them.
Its supervisor and every rank hold them too: whatever is left alive of a training, be it an orphan,
keeps its devices, and a second training waits, then is refused. The locks lie in the cache folder
of this user and are named by machine and device. A machine without NVIDIA GPUs has no devices.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tagarela_dagster.training.launching.environment import cache_folder
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.settings import SETTINGS_VARIABLE, Local

LOCKS_VARIABLE = "TAGARELA_DEVICE_LOCKS"
"""Lock files of the devices of a training, for its ranks; joined by os.pathsep."""
CPU = "cpu"
NO_DEVICE = 6
"""Exit status of nvidia-smi on a machine that has the driver and no GPU ("A query to find an object
was unsuccessful", its manual)."""

logger = logging.getLogger(__name__)


class Devices:
    """Devices that a training holds; empty where it runs without GPUs and needs no fence.

    Attributes:
        names: as CUDA_VISIBLE_DEVICES names them.
        descriptors: open lock files; whoever inherits one holds the device.
    """

    def __init__(self, names: Sequence[str] = (), descriptors: Sequence[int] = ()) -> None:
        self.names = tuple(names)
        self.descriptors = tuple(descriptors)

    def environment(self) -> dict[str, str]:
        """Variables that show a rank these devices and no others."""
        if not self.names:
            return {}
        visible = "" if self.names == (CPU,) else ",".join(self.names)
        locks = os.pathsep.join(str(_lock_path(name)) for name in self.names)
        return {"CUDA_VISIBLE_DEVICES": visible, LOCKS_VARIABLE: locks}

    def release(self) -> None:
        """Close this process's hold."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = ()


def take_devices(processes: int, settings: Local, run: Path) -> Devices:
    """Lock a free device for each rank.

    Raises:
        TrainingError: there are too few, or other trainings keep them.
    """
    names = settings.devices.split("+") if settings.devices else visible_devices()
    if not names:
        return Devices()
    wanted = 1 if names == [CPU] else processes
    if len(names) < wanted:
        raise TrainingError(
            f"{wanted} ranks for {len(names)} GPUs ({', '.join(names)}), and each rank has one: "
            f"give {SETTINGS_VARIABLE}=processes={len(names)}, or devices=cpu to train without"
        )
    deadline = time.monotonic() + settings.device_wait
    while True:
        taken: dict[str, int] = {}
        for name in names:
            if len(taken) < wanted and (descriptor := _take(name, run)) is not None:
                taken[name] = descriptor
        if len(taken) == wanted:
            return Devices(tuple(taken), tuple(taken.values()))
        for descriptor in taken.values():
            os.close(descriptor)
        if time.monotonic() > deadline:
            busy = [name for name in names if name not in taken]
            raise TrainingError(
                f"{wanted} of the devices {', '.join(names)} are wanted and {len(taken)} free: "
                + "; ".join(_holder(name) for name in busy)
                + ". Wait for it, or end it"
            )
        time.sleep(0.2)


def hold_devices() -> None:
    """Hold the devices of the training that this rank belongs to, until it ends."""
    for path in filter(None, os.environ.get(LOCKS_VARIABLE, "").split(os.pathsep)):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(f"{Path(path).stem} was taken by another training") from None


def visible_devices() -> list[str]:
    """UUIDs of the NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves; MIG parts as it names them.

    None where nvidia-smi finds none; where it fails too, which is told.
    """
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        if answer.returncode != NO_DEVICE:
            said = (answer.stdout + answer.stderr).strip()
            logger.warning(
                "nvidia-smi ended with status %d (%s): no GPU of this machine is locked, and "
                "another training may take the same; name them with %s=devices=0+1, or devices=cpu",
                answer.returncode,
                said or "it said nothing",
                SETTINGS_VARIABLE,
            )
        return []
    found = dict(line.split(", ") for line in answer.stdout.splitlines() if ", " in line)
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    if asked is None:
        return list(found.values())
    return [found.get(name.strip(), name.strip()) for name in asked.split(",") if name.strip()]


def _lock_path(name: str) -> Path:
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{socket.gethostname()}-{name}")
    return cache_folder() / "devices" / f"{plain}.lock"


def _take(name: str, run: Path) -> int | None:
    """Shared lock on a device that nobody else has; None when somebody has."""
    path = _lock_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        # Alone for a moment, which proves that nobody has it, then shared with the ranks. Between
        # the two somebody else may get it, and then this fails.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "run": str(run)}).encode(), 0)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _holder(name: str) -> str:
    """Who has a device, in words: the processes that have its lock open, and the run."""
    path = _lock_path(name)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = {"pid": "?", "run": "an unknown folder"}
    pids = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        # Processes end and files are closed while this looks.
        with suppress(OSError):
            if link.readlink() == path and link.parts[2] != str(os.getpid()):
                pids.append(link.parts[2])
    who = ", ".join(sorted(set(pids), key=int)) or str(said["pid"])
    return f"{name} is held by process {who}, training in {said['run']}"
