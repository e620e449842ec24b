"""Offload: ZeRO's optimizer state and parameters in host memory or on NVMe disks.

NVMe needs a folder on a fast disk (environment variable TAGARELA_NVME) and DeepSpeed's
asynchronous reads and writes, which are compiled against libaio.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tagarela_dagster.recipe.stage import Distributed
from tagarela_dagster.training.launching.failure import TrainingError

NVME_VARIABLE = "TAGARELA_NVME"


def offload_config(section: Distributed, *, pin: bool) -> dict[str, Any]:
    """The offload part of DeepSpeed's ``zero_optimization``.

    Args:
        pin: keep host memory pinned, for copies to a GPU that don't wait.
    """
    config: dict[str, Any] = {}
    asked = {
        "offload_optimizer": section.offload.optimizer,
        "offload_param": section.offload.parameters,
    }
    for name, place in asked.items():
        if place != "none":
            config[name] = {"device": place, "pin_memory": pin}
        if place == "nvme":
            config[name]["nvme_path"] = os.environ.get(NVME_VARIABLE, "")
    return config


def check_offload(section: Distributed) -> None:
    """Refuse an offload that cannot work here, with the reason.

    Raises:
        TrainingError: the ZeRO stage has none, the folder is missing, or libaio is.
    """
    asked, stage = section.offload, section.zero_stage
    if asked.optimizer != "none" and stage == 0:
        raise TrainingError(
            f"offload.optimizer {asked.optimizer} needs zero_stage 1, 2 or 3: stage 0 keeps all "
            "state on every device"
        )
    if (asked.parameters != "none" or asked.optimizer == "nvme") and stage != 3:
        raise TrainingError(
            f"offload.optimizer {asked.optimizer} and offload.parameters {asked.parameters} need "
            f"zero_stage 3, this is {stage}"
        )
    if "nvme" not in (asked.optimizer, asked.parameters):
        return
    folder = os.environ.get(NVME_VARIABLE)
    if not folder or not Path(folder).is_dir() or not os.access(folder, os.W_OK):
        raise TrainingError(
            f"offload to nvme needs a folder on an NVMe disk in the environment variable "
            f"{NVME_VARIABLE}, which is {folder!r}: set it to a folder that can be written"
        )
    from deepspeed.ops.op_builder import AsyncIOBuilder

    if not AsyncIOBuilder().is_compatible(verbose=False):
        raise TrainingError(
            "offload to nvme needs libaio, which DeepSpeed's asynchronous reads and writes are "
            "compiled against, and it is not installed: install libaio-dev (Debian) or "
            "libaio-devel, or take offload cpu"
        )
