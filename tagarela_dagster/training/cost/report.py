"""What each step says of its cost: speed, utilisation, memory, energy, time left.

The loop asks once a step, with numbers that it has anyhow; nothing here waits for a device.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.stage import Lora, Method
from tagarela_dagster.training.cost import flops
from tagarela_dagster.training.cost.energy import EnergyMeter
from tagarela_dagster.training.cost.measured import measured_memory
from tagarela_dagster.training.cost.peaks import Device, find_device, why_no_peak
from tagarela_dagster.training.cost.shape import Shape, UnknownShape, config_shape

if TYPE_CHECKING:
    import torch

RECENT = 50
"""Steps whose median time tells the seconds left."""

Row = dict[str, Any]


class Meter:
    """Costs of a stage's steps.

    Args:
        config: the model's transformers configuration, or its dictionary.
        section: the stage: ``precision``, and where it has them ``steps``, ``method``, ``lora``.
        world: ranks, one a device.
        context: tokens of a sequence; none means the configuration's longest.
        energy: started already, where energy is counted.
        peak: a device whose peak was measured (measured.py), where there is no datasheet's.

    Attributes:
        no_mfu: why there is no MFU, in a sentence; None when there is.
    """

    def __init__(
        self,
        config: Any,
        section: Any,
        world: int,
        device: torch.device,
        *,
        context: int | None = None,
        energy: EnergyMeter | None = None,
        peak: Device | None = None,
    ) -> None:
        values: Mapping[str, Any] = config if isinstance(config, Mapping) else config.to_dict()
        self.section, self.world, self.device, self.energy = section, world, device, energy
        self.flops, self.no_mfu = _operations(values, section, context)
        self.peak: float | None = None
        if self.flops is not None:
            self.peak, self.no_mfu = _peak(device, section.precision, peak)
        self.measured = peak is not None and peak.measured
        self._recent: deque[float] = deque(maxlen=RECENT)

    def row(self, tokens: int, seconds: float, step: int) -> Row:
        """Numbers of one step.

        Args:
            tokens: of this step, over all ranks.
            seconds: that it took.
            step: its number, from 1.

        Returns:
            ``tokens_per_second`` (all ranks), ``model_tflops`` (TFLOP/s a device), ``mfu`` (0 to
            1; None where there is none, see ``no_mfu``), ``seconds_left`` (None where the number
            of steps is not known), ``memory_bytes`` (peak of this rank), ``kwh`` (so far, over
            resumes; None where energy is not counted).
        """
        self._recent.append(seconds)
        speed = tokens / seconds
        rate = None if self.flops is None else self.flops * speed / self.world
        steps = getattr(self.section, "steps", None)
        left = None if steps is None else (steps - step) * statistics.median(self._recent)
        return {
            "tokens_per_second": round(speed, 1),
            "model_tflops": None if rate is None else _rounded(rate / 1e12),
            "mfu": None if rate is None or self.peak is None else _rounded(rate / self.peak),
            "seconds_left": None if left is None else round(left, 1),
            "memory_bytes": measured_memory(self.device),
            "kwh": self.energy.kwh if self.energy else None,
        }


def _operations(
    config: Mapping[str, Any], section: Any, context: int | None
) -> tuple[int | None, str | None]:
    """Operations a token, or why they are not known."""
    try:
        shape: Shape = config_shape(config)
    except UnknownShape as error:
        return None, f"no MFU: {error}"
    lora: Lora = getattr(section, "lora", Lora())
    method: Method = getattr(section, "method", "full")
    return flops.training(shape, context or shape.context, method, lora.rank), None


def _peak(
    device: torch.device, precision: str, measured: Device | None
) -> tuple[float | None, str | None]:
    if measured is not None:
        return measured.peak(precision), None
    if device.type != "cuda":
        return None, "no MFU: a CPU has no datasheet peak"
    import torch

    name = torch.cuda.get_device_name(device)
    if sentence := why_no_peak(name, precision):
        return None, sentence
    found = find_device(name)
    return (found.peak(precision) if found else None), None


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
