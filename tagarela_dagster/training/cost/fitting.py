"""Whether a plan fits into a device, and what to change when it does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tagarela_dagster.training.cost.memory import Memory, Setting, predict
from tagarela_dagster.training.cost.peaks import GIB
from tagarela_dagster.training.cost.shape import Shape
from tagarela_dagster.training.launching.failure import TrainingError

SLOWER = {
    "checkpointing": 4 / 3,
    "stage 3": 1.1,
    "micro-batch": 1.05,
    "optimizer": 1.5,
    "weights": 2.0,
}
"""About how much longer a step takes with each change, only to put proposals into an order.
Checkpointing is the arithmetic of one more forward pass; the others are rough."""


@dataclass(frozen=True)
class Fit:
    """The answer.

    Attributes:
        available: bytes of the device.
        host_available: bytes of host memory for a rank; none where nobody knows.
        proposal: a setting that fits, where this one does not and one is found.
    """

    setting: Setting
    memory: Memory
    available: int
    host_available: int | None
    proposal: Setting | None = None

    @property
    def fits(self) -> bool:
        """Whether device and host have room."""
        return _fits(self.memory, self.available, self.host_available)

    @property
    def sentence(self) -> str:
        """What is missing and what to do; empty when it fits."""
        if self.fits:
            return ""
        missing = f"{self.memory.total / GIB:.1f} GiB of {self.available / GIB:.1f} GiB"
        if self.host_available is not None and self.memory.host_total > self.host_available:
            needed = self.memory.host_total / GIB
            missing += f" (host: {needed:.1f} GiB of {self.host_available / GIB:.1f} GiB)"
        if self.proposal is None:
            return f"needs {missing} a rank; nothing but more ranks or larger devices helps"
        return f"needs {missing} a rank; this fits: {changes(self.setting, self.proposal)}"


def fit(shape: Shape, setting: Setting, available: int, host: int | None = None) -> Fit:
    """Predict, compare with what there is, and look for what fits if need be.

    Args:
        available: bytes of the device's memory.
        host: bytes of host memory for each rank.
    """
    memory = predict(shape, setting)
    if _fits(memory, available, host):
        return Fit(setting, memory, available, host)
    for changed in _alternatives(setting):
        if _fits(predict(shape, changed), available, host):
            return Fit(setting, memory, available, host, changed)
    return Fit(setting, memory, available, host)


def require_fit(shape: Shape, setting: Setting, available: int, host: int | None = None) -> Memory:
    """The predicted memory. Raises TrainingError, with the arithmetic, when it does not fit."""
    found = fit(shape, setting, available, host)
    if found.fits:
        return found.memory
    lines = [f"  {name:<18}{size / GIB:8.2f} GiB" for name, size in found.memory.rows.items()]
    raise TrainingError("\n".join(["this training does not fit: " + found.sentence, *lines]))


def changes(setting: Setting, other: Setting) -> str:
    """The recipe's fields that differ, with the other's values."""
    names = {
        "zero_stage": "zero_stage",
        "checkpointing": "activation_checkpointing",
        "micro_batch": "micro_batch",
        "accumulation": "accumulation",
        "offload_optimizer": "offload.optimizer",
        "offload_parameters": "offload.parameters",
    }
    found = []
    for field, name in names.items():
        value = getattr(other, field)
        if value != getattr(setting, field):
            found.append(f"{name}: {str(value).lower()}")
    return ", ".join(found)


def _fits(memory: Memory, available: int, host: int | None) -> bool:
    return memory.total <= available and (host is None or memory.host_total <= host)


def _alternatives(setting: Setting) -> list[Setting]:
    """Settings of the same batch that need less, the fastest first."""
    return [other for _, other in sorted(_costed(setting), key=lambda pair: pair[0])]


def _costed(setting: Setting) -> Iterator[tuple[float, Setting]]:
    last = 2 if setting.method == "qlora" else 3  # four-bit weights cannot be cut
    halvings = range(setting.micro_batch.bit_length())
    choices = itertools.product(
        range(setting.zero_stage, last + 1),
        dict.fromkeys((setting.checkpointing, True)),
        [n for n in halvings if setting.micro_batch % 2**n == 0],
        dict.fromkeys((setting.offload_optimizer, "cpu")),
        dict.fromkeys((setting.offload_parameters, "cpu")),
    )
    for stage, checkpointing, halved, optimizer, weights in choices:
        if (weights != "none" and stage < 3) or (optimizer != "none" and stage < 1):
            continue
        if setting.device == "cpu" and (optimizer, weights) != ("none", "none"):
            continue
        cost = SLOWER["checkpointing"] if checkpointing else 1.0
        cost *= SLOWER["stage 3"] if stage == 3 else 1.0
        cost *= SLOWER["micro-batch"] ** halved
        cost *= SLOWER["optimizer"] if optimizer != "none" else 1.0
        cost *= SLOWER["weights"] if weights != "none" else 1.0
        changed = replace(
            setting,
            zero_stage=stage,
            checkpointing=checkpointing,
            micro_batch=setting.micro_batch // 2**halved,
            accumulation=setting.accumulation * 2**halved,
            offload_optimizer=optimizer,
            offload_parameters=weights,
        )
        # Of two that are equally fast, the one with the lower stage.
        yield cost + stage * 1e-3, changed
