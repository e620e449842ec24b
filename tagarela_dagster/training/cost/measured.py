"""What a device really does: its memory, and on a CPU the speed of a product of matrices."""

from __future__ import annotations

import resource
import sys
import time
from typing import TYPE_CHECKING

from tagarela_dagster.training.cost.peaks import GIB, Device

if TYPE_CHECKING:
    import torch

SIDE = 1024
"""Of the square matrices whose product is timed."""
SECONDS = 0.5


def measured_memory(device: torch.device) -> int:
    """Peak bytes of this rank so far: allocated on its GPU, else resident."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measured_cpu(precision: str, seconds: float = SECONDS) -> Device:
    """This CPU as a device, whose ``peak`` is the best of repeated products of matrices with the
    threads that torch may use. A CPU has no peak on a datasheet that a program can hope for."""
    import psutil
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    a = torch.randn(SIDE, SIDE).to(dtype)
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until or best == float("inf"):
        started = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - started)
    return Device(
        device="this CPU",
        names=(),
        peaks={precision: 2 * SIDE**3 / best / 1e12},
        memory_gib=psutil.virtual_memory().total / GIB,
        watts=0,
        source=f"measured: product of {SIDE} x {SIDE} matrices, {torch.get_num_threads()} threads",
        note="the peak is measured, not a datasheet's",
        measured=True,
    )
