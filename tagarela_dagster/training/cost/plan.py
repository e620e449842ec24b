"""A recipe planned on a cluster: what fits, how long it takes, what it costs, before the start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tagarela_dagster.recipe.model import Recipe
from tagarela_dagster.recipe.stage import Distributed
from tagarela_dagster.training.cost.clusters import Cluster, Speed, assumed_speed
from tagarela_dagster.training.cost.energy import grid_intensity
from tagarela_dagster.training.cost.fitting import Fit, fit
from tagarela_dagster.training.cost.room import adapted, stage_setting
from tagarela_dagster.training.cost.stages import Work, vocabulary, works
from tagarela_dagster.training.launching.failure import TrainingError


@dataclass
class StagePlan:
    """One stage on the cluster.

    Attributes:
        fit: memory of a rank; None for stages that don't train, or of unknown shape.
        hours: none where the speed or the tokens are not known.
        kwh: of the devices at full power for these hours.
        disk: bytes of all checkpoints that are kept.
    """

    work: Work
    world: int = 1
    fit: Fit | None = None
    speed: Speed | None = None
    hours: float | None = None
    kwh: float | None = None
    co2e_kg: float | None = None
    disk: int | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def flops(self) -> float | None:
        """Operations of the whole stage."""
        tokens = self.work.tokens
        return None if tokens is None or not self.work.flops else float(tokens * self.work.flops)

    def as_json(self) -> dict[str, Any]:
        """All numbers of the stage."""
        work, shape = self.work, self.work.shape
        return {
            "stage": work.name,
            "kind": work.stage.kind,
            "parameters": shape.parameters if shape else None,
            "trained": work.trained,
            "ranks": self.world,
            "steps": work.steps,
            "sequences": work.stage.sequences or None,
            "tokens": work.tokens,
            "flops": self.flops,
            "mfu": self.speed.mfu if self.speed else None,
            "hours": self.hours,
            "kwh": self.kwh,
            "co2e_kg": self.co2e_kg,
            "disk_bytes": self.disk,
            "memory_bytes": self.fit.memory.rows if self.fit else None,
            "total_bytes": self.fit.memory.total if self.fit else None,
            "available_bytes": self.fit.available if self.fit else None,
            "host_bytes": self.fit.memory.host_total if self.fit else None,
            "fits": self.fit.fits if self.fit else None,
            "problems": self.problems,
        }


@dataclass(frozen=True)
class Plan:
    """All stages of a recipe on a cluster."""

    recipe: Recipe
    cluster: Cluster
    stages: list[StagePlan]

    @property
    def problems(self) -> list[str]:
        """What stands in the way, a sentence each."""
        return [f"{s.work.name}: {problem}" for s in self.stages for problem in s.problems]

    @property
    def assumptions(self) -> list[str]:
        """What the numbers rest on, with sources."""
        device = self.cluster.known_device()
        found = [self.cluster.note] if self.cluster.note else []
        if device is not None:
            peaks = ", ".join(f"{kind} {value:g}" for kind, value in device.peaks.items())
            found.append(f"{device.device}: {peaks} TFLOP/s dense, {device.source}")
            found += [device.note] if device.note else []
            found.append(f"energy: {device.watts:g} W a device, without hosts and cooling")
        speeds = {s.speed.sentence: s.work.name for s in self.stages if s.speed}
        found += speeds
        if any(s.speed and adapted(s.work.stage)[0] == "qlora" for s in self.stages):
            found.append("qlora: no measured anchor; taking weights out of nf4 makes it slower")
        if any(s.speed and s.work.shape and not s.work.shape.gated for s in self.stages):
            found.append("gpt_neo: no measured anchor; its attention is not fused, so slower")
        return found + [note for s in self.stages for note in s.work.notes]

    def as_json(self) -> dict[str, Any]:
        """The plan, for programs."""
        return {
            "recipe": self.recipe.name,
            "cluster": self.cluster.as_json(),
            "vocabulary": vocabulary(self.recipe),
            "mixture_sequences": self.recipe.training_sequences,
            "mixture_tokens": self.recipe.training_sequences * self.recipe.training.model.context,
            "stages": [stage.as_json() for stage in self.stages],
            "assumptions": self.assumptions,
            "problems": self.problems,
        }


def plan_recipe(
    recipe: Recipe, cluster: Cluster, mfu: float | None = None, country: str = ""
) -> Plan:
    """Plan every stage.

    Args:
        mfu: in place of measured anchors.
        country: of the grid; default the cluster's.
    """
    intensity = grid_intensity(country or cluster.country) if country or cluster.country else None
    stages = [_plan(work, cluster, mfu, intensity) for work in works(recipe).values()]
    return Plan(recipe, cluster, stages)


def _plan(work: Work, cluster: Cluster, mfu: float | None, intensity: float | None) -> StagePlan:
    plan = StagePlan(work, problems=list(work.problems))
    if not isinstance(work.stage, Distributed) or work.trains is None:
        return plan
    plan.world = min(work.stage.processes, cluster.devices)
    try:
        device = "cuda" if cluster.device else "cpu"
        setting = stage_setting(
            work.stage, work.trains, plan.world, work.context, device, beside=work.beside
        )
    except TrainingError as error:
        plan.problems.append(str(error))
        return plan
    if plan.world < work.stage.processes:
        work.notes.append(
            f"{work.name}: {plan.world} ranks for {work.stage.processes}, the same batch by "
            f"micro_batch {setting.micro_batch} x accumulation {setting.accumulation}"
        )
    plan.fit = fit(work.trains, setting, *cluster.memory(plan.world))
    if not plan.fit.fits:
        plan.problems.append(plan.fit.sentence)
    plan.disk = _disk(work)
    _time(plan, cluster, mfu, intensity)
    return plan


def _time(plan: StagePlan, cluster: Cluster, mfu: float | None, intensity: float | None) -> None:
    """Hours and energy, where device and tokens are known."""
    work, device = plan.work, cluster.known_device()
    stage, shape = work.stage, work.trains
    assert isinstance(stage, Distributed)
    assert shape is not None
    if device is None or plan.flops is None:
        return
    peak = device.peak(stage.precision)
    if peak is None:
        plan.problems.append(f"{device.device} has no {stage.precision} peak: choose another type")
        return
    if mfu is not None:
        plan.speed = Speed(mfu, f"MFU {mfu:.0%}: as given")
    else:
        plan.speed = assumed_speed(
            device, shape.parameters, checkpointing=stage.activation_checkpointing
        )
    plan.hours = plan.flops / (plan.world * peak * plan.speed.mfu) / 3600
    plan.kwh = plan.hours * plan.world * device.watts / 1000
    plan.co2e_kg = None if intensity is None else plan.kwh * intensity


def _disk(work: Work) -> int | None:
    """Bytes of the checkpoints: weights of all of them, optimizer states of those that are kept.

    A state has the weights in the training's type, and for each trained parameter an fp32 copy
    and two moments.
    """
    stage, trained = work.stage, work.trained
    if work.steps is None or work.trains is None or trained is None:
        return None
    assert isinstance(stage, Distributed)
    count = -(-work.steps // stage.checkpoint_every)
    width = {"bf16": 2, "fp32": 4}[stage.precision]
    kept = stage.keep_checkpoints + stage.keep_best
    if stage.keep_every_tokens and work.tokens:
        kept += work.tokens // stage.keep_every_tokens
    weights = width * (work.trains.parameters if adapted(stage)[0] == "full" else trained)
    return count * weights + min(count, kept) * (weights + 12 * trained)
