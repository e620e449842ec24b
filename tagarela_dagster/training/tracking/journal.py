"""Journal: what every training stage keeps of its steps, whatever trains it.

Rank 0 writes each step's line, with what the step cost, into metrics.jsonl and to the trackers;
the first rank of each machine watches its energy. At the end, or when a run is stopped, the cost
so far lies in ``cost.json``; seconds and energy count over all resumes.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.training.cost.energy import EnergyMeter
from tagarela_dagster.training.cost.energy_record import read_energy
from tagarela_dagster.training.cost.peaks import Device, find_device
from tagarela_dagster.training.cost.plausibility import check_energy
from tagarela_dagster.training.cost.report import Meter
from tagarela_dagster.training.tracking.metrics import Metrics, read_metrics
from tagarela_dagster.training.tracking.trackers import Trackers, open_trackers

if TYPE_CHECKING:
    import torch

    from tagarela_dagster.training.stage import StageRun

COST_NAME = "cost.json"
WARM = 3
"""First steps of a run that medians leave out: memory is allocated, code compiled."""


class Journal:
    """The record of one run; a context, on every rank.

    Args:
        config: transformers configuration of the model.
        context: tokens of a sequence.
    """

    def __init__(
        self, run: StageRun, config: Any, device: torch.device, context: int | None = None
    ) -> None:
        import torch.distributed as dist

        self.run = run
        self.world = dist.get_world_size()
        self.device = device
        self.first = dist.get_rank() == 0
        self.energy = EnergyMeter(run.out)
        self.meter = Meter(
            config, run.section, self.world, device, context=context, energy=self.energy
        )
        self._metrics: Metrics | None = None
        self._trackers: Trackers | None = None
        self._before = {"tokens": 0, "seconds": 0.0}

    def __enter__(self) -> Journal:
        if self.first:
            rows = read_metrics(self.run.out)
            self._before = rows[-1] if rows else self._before
            self._metrics = Metrics(self.run.out)
            name = f"{self.run.recipe.name}/{self.run.name}"
            section = self.run.recipe.section(self.run.name)
            self._trackers = open_trackers(self.run.out, name, section)
        self.energy.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.energy.stop()
        if self._metrics and self._trackers:
            self._metrics.close()
            self._trackers.close()
            with atomic_write(self.run.out / COST_NAME) as file:
                json.dump(self._cost(), file, indent=1)

    def write(self, row: dict[str, Any]) -> None:
        """Record one step: ``step``, ``loss``, ``tokens`` and ``seconds`` so far, and what else
        the stage knows of it; only rank 0 does anything."""
        if not (self._metrics and self._trackers):
            return
        tokens = int(row["tokens"]) - int(self._before["tokens"])
        seconds = max(1e-9, row["seconds"] - self._before["seconds"])
        self._before = {"tokens": row["tokens"], "seconds": row["seconds"]}
        told = self.meter.row(tokens, seconds, row["step"])
        whole = {**row, **{name: value for name, value in told.items() if value is not None}}
        self._metrics.write(whole)
        self._trackers.write(whole)

    def _cost(self) -> dict[str, Any]:
        rows = read_metrics(self.run.out)
        if not rows:
            return {}
        steady = rows[WARM:] or rows
        seconds = rows[-1]["seconds"]
        cost: dict[str, Any] = {"seconds": round(seconds, 1), "ranks": self.world}
        for name in ("tokens_per_second", "model_tflops", "mfu"):
            values = [row[name] for row in steady if name in row]
            if values:
                cost[name] = float(f"{statistics.median(values):.4g}")
        if self.meter.no_mfu:
            cost["no_mfu"] = self.meter.no_mfu
        cost["memory_bytes"] = max(row.get("memory_bytes", 0) for row in rows)
        if self._trackers and self._trackers.failures:
            cost["trackers_off"] = dict(self._trackers.failures)
        return {**cost, **self._energy(rows[-1]["tokens"], seconds)}

    def _energy(self, tokens: int, seconds: float) -> dict[str, Any]:
        found = read_energy(self.run.out)
        if found is None or not found.kwh:
            return {"energy": f"not counted: {found.reason}" if found else "not counted"}
        cost: dict[str, Any] = {"kwh": found.kwh, "energy": found.label}
        if found.co2e_kg is not None:
            cost |= {"co2e_kg": found.co2e_kg, "country": found.country}
        if found.failures:
            cost["energy_failures"] = found.failures
        if self.meter.flops is not None:
            verdict = check_energy(
                found.kwh,
                self.meter.flops * tokens,
                seconds,
                device=_known(self.device),
                precision=self.run.section.precision,
                count=self.world,
            )
            cost["plausible"] = verdict.sentence
        return cost


def _known(device: torch.device) -> Device | None:
    """The device's entry in the table of peaks, if it has one."""
    if device.type != "cuda":
        return None
    import torch

    return find_device(torch.cuda.get_device_name(device))


def read_cost(run: Path) -> dict[str, Any]:
    """What a run has cost; empty where nothing was counted."""
    path = run / COST_NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
