"""Whether an energy figure can be true: it is held against the operations and the seconds.

A device that does its peak draws its full power, so no operation takes less than watts / peak; and
no second takes more than all the machine's power. Tracking that watched too few devices, or twice,
falls outside.
"""

from __future__ import annotations

from dataclasses import dataclass

from tagarela_dagster.training.cost.peaks import Device

JOULES_A_KWH = 3.6e6
HOST_SHARE = 1.0
"""Power of host, memory and network a device, as a share of the device's, at most (an A100 node of
6.5 kW with 8 x 400 W: NVIDIA DGX A100 datasheet)."""


@dataclass(frozen=True)
class Plausibility:
    """The verdict.

    Attributes:
        plausible: None where it cannot be judged.
    """

    plausible: bool | None
    sentence: str


def check_energy(
    kwh: float,
    flops: float,
    seconds: float,
    *,
    device: Device | None,
    precision: str,
    count: int,
) -> Plausibility:
    """Hold energy against operations done and seconds taken on ``count`` devices.

    Args:
        flops: model operations of all devices together.
    """
    peak = device.peak(precision) if device else None
    if device is None or not peak or not device.watts:
        name = device.device if device else "the device"
        return Plausibility(
            None, f"{kwh:.4g} kWh cannot be checked: no peak or power of {name} is known"
        )
    low = flops / peak * device.watts / JOULES_A_KWH
    high = seconds * count * device.watts * (1 + HOST_SHARE) / JOULES_A_KWH
    joules = kwh * JOULES_A_KWH / flops if flops else float("inf")
    bounds = (
        f"{flops:.3g} FLOPs at the peak of {device.device} take {low:.4g} kWh, {seconds:.0f} s of "
        f"{count} at full power {high:.4g} kWh"
    )
    if kwh < low:
        return Plausibility(
            False, f"{kwh:.4g} kWh are too little: {bounds}; some devices were not watched"
        )
    if kwh > high:
        return Plausibility(
            False, f"{kwh:.4g} kWh are too much: {bounds}; something was counted twice"
        )
    return Plausibility(True, f"{kwh:.4g} kWh ({joules:.3g} J a FLOP) are plausible: {bounds}")
