"""The account of a stage's energy, as it lies in the run folder (energy.py writes it)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

ENERGY_NAME = "energy.json"


@dataclass(frozen=True)
class Energy:
    """What a stage took so far, over all resumes.

    Attributes:
        measured_kwh: from counters; estimated_kwh: from a model.
        co2e_kg: at the country's mean intensity; None where no country was given.
        seconds: watched.
        parts: cpu, gpu, ram -> kWh; how: the same -> ``measured`` or ``estimated``.
        failures: times that watching failed; the energy of these times is missing.
    """

    measured_kwh: float = 0.0
    estimated_kwh: float = 0.0
    co2e_kg: float | None = None
    seconds: float = 0.0
    country: str = ""
    mode: str = "machine"
    parts: dict[str, float] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    reason: str = ""

    @property
    def kwh(self) -> float:
        """All of it."""
        return self.measured_kwh + self.estimated_kwh

    @property
    def label(self) -> str:
        """``measured`` where all but the memory's is from counters, else ``estimated``."""
        modelled = self.kwh - self.measured_kwh - self.parts.get("ram", 0.0)
        return "measured" if self.measured_kwh > 0 and modelled <= 0.01 * self.kwh else "estimated"

    def plus(self, other: Energy) -> Energy:
        """Both together; what is not a sum is the other's."""
        names = self.parts.keys() | other.parts.keys()
        parts = {n: self.parts.get(n, 0.0) + other.parts.get(n, 0.0) for n in sorted(names)}
        # A part that was ever modelled is not called measured.
        how = {**self.how, **other.how}
        how |= {n: "estimated" for n in how if "estimated" in (self.how.get(n), other.how.get(n))}
        return Energy(
            measured_kwh=self.measured_kwh + other.measured_kwh,
            estimated_kwh=self.estimated_kwh + other.estimated_kwh,
            co2e_kg=_sum(self.co2e_kg, other.co2e_kg),
            seconds=self.seconds + other.seconds,
            country=other.country or self.country,
            mode=other.mode,
            parts=parts,
            how=how,
            failures=self.failures + other.failures,
            reason=other.reason or self.reason,
        )


def read_energy(run: Path) -> Energy | None:
    """Energy of a run, all ranks that watched together; None where none did."""
    files = sorted(run.glob("energy*.json"))
    if not files:
        return None
    total = Energy()
    for file in files:
        total = total.plus(read_record(file))
    return total


def read_record(path: Path) -> Energy:
    """One rank's account."""
    return Energy(**json.loads(path.read_text(encoding="utf-8")))


def _sum(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return sum(known) if known else None
