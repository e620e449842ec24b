"""Training assets: every stage that the recipe names, and the checkpoints that they leave."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from tagarela_dagster.assets.curves import sparkline
from tagarela_dagster.assets.metadata import table
from tagarela_dagster.assets.partitions import CHECKPOINTS
from tagarela_dagster.assets.step import materialize, station_arguments
from tagarela_dagster.provenance.manifest import MANIFEST_NAME, Manifest
from tagarela_dagster.resources.follow import METRICS, loss_curve
from tagarela_dagster.resources.road import Road
from tagarela_dagster.training.tracking.journal import read_cost

OWNERS = ["team:training"]
POOL = "gpu"
"""One training at a time on this machine; a run that is queued on a cluster waits in it too."""

# Kind of stage -> group on the page, icons, description.
LOOKS: dict[str, tuple[str, set[str], str]] = {
    "base": ("training", {"huggingface"}, "Somebody else's model, pinned by hash."),
    "surgery": (
        "training",
        {"huggingface"},
        "A model with the graph's Portuguese tokenizer transplanted into it.\n\nFertility before "
        "and after is measured on held-out text.",
    ),
    "pretrain": (
        "training",
        {"pytorch"},
        "Language model trained on the mixture with DeepSpeed ZeRO, from nothing or from a parent."
        "\n\nIts loss shows here while it runs; each checkpoint becomes a partition of "
        "`checkpoints` as soon as it is whole. A run that was killed goes on from the newest one.",
    ),
    "prune": (
        "training",
        {"pytorch"},
        "A smaller model cut out of its parent by learned masks, to a shape that the recipe gives.",
    ),
    "distill": (
        "training",
        {"pytorch"},
        "A model that learns the next-token distributions of a larger one beside the text.",
    ),
    "sft": (
        "alignment",
        {"pytorch", "huggingface"},
        "The model fine-tuned on conversations with TRL; the loss is on the assistant's words.",
    ),
    "preference": (
        "alignment",
        {"pytorch", "huggingface"},
        "The model tuned on pairs of answers.\n\nIts generations on held-out prompts are gated: a "
        "run that changes nothing, or makes them worse, fails.",
    ),
    "reward": ("alignment", {"pytorch", "huggingface"}, "A model that scores conversations."),
    "grpo": (
        "alignment",
        {"pytorch", "huggingface"},
        "The model tuned by rewards that can be checked: answer, format, language, variety.",
    ),
    "average": (
        "release",
        {"pytorch"},
        "Mean of a run's last checkpoints, kept if held-out text says that it is no worse.",
    ),
    "merge": (
        "release",
        {"pytorch"},
        "Several models of one shape in one, kept if held-out text says that it is no worse.",
    ),
    "release": (
        "release",
        {"huggingface"},
        "The model as it is given away: merged weights, adapter, difference to the base.",
    ),
}
CHECKPOINT_LOOK: dict[str, Any] = {
    "group_name": "training",
    "owners": OWNERS,
    "kinds": {"pytorch", "huggingface"},
}


def build_training(road: Road) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """One asset for each training stage, and the checkpoints of them all."""
    stages = [name for name, station in road.stations.items() if station.kind]
    checkpoints = dg.AssetSpec(
        "checkpoints",
        deps=stages,
        partitions_def=CHECKPOINTS,
        description="Checkpoints as they are published: a model folder in Hugging Face layout, "
        "and the state to resume from.\n\nPlots over partitions are the loss curve.",
        **CHECKPOINT_LOOK,
    )
    return [*(_build_stage(road, name) for name in stages), checkpoints]


def _build_stage(road: Road, name: str) -> dg.AssetsDefinition:
    group, kinds, description = LOOKS[road.stations[name].kind]

    @dg.asset(
        **station_arguments(road, name, group_name=group, owners=OWNERS, pool=POOL, kinds=kinds),
        description=description,
    )
    def stage(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.resources.kubernetes_trainer import pipes_to_pods
        from tagarela_dagster.resources.trainer import train_stage

        train = partial(
            train_stage,
            road=road,
            on_metrics=partial(_observe, context),
            on_checkpoint=partial(report_checkpoint, context.instance),
        )
        with pipes_to_pods(context):
            return materialize(context, road, name, train, _describe)

    return stage


def report_checkpoint(instance: dg.DagsterInstance, key: str, folder: Path) -> None:
    """Make a published checkpoint a partition on the page, while training goes on."""
    if not (folder / "model").is_dir():
        return
    instance.add_dynamic_partitions("checkpoints", [key])
    record = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    names = ("step", "loss", "tokens", "parameters")
    metadata = {name: record[name] for name in names if name in record}
    event = dg.AssetMaterialization("checkpoints", partition=key, metadata=metadata)
    instance.report_runless_asset_event(event)


def _observe(context: dg.AssetExecutionContext, values: Mapping[str, Any]) -> None:
    numbers = {k: v for k, v in values.items() if isinstance(v, int | float)}
    context.log_event(dg.AssetObservation(context.asset_key, metadata=numbers))


def _describe(road: Road, manifest: Manifest) -> Mapping[str, Any]:
    """What the run has cost, what it came to, and the curve of its loss."""
    counts = manifest.counts
    run = road.home.runs / manifest.asset / counts["run"]
    told: dict[str, Any] = dict(_told(read_cost(run)))
    if (run / METRICS).is_file() and len(curve := loss_curve(run)) > 1:
        told["loss_curve"] = sparkline([loss for _, loss in curve], "loss by step")
    return told | _told(counts)


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, bool | str):
            told[name] = value
        elif isinstance(value, float):
            told[name] = float(f"{value:.5g}")
        elif isinstance(value, int):
            told[name] = value
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            told[name] = table([{k: _cell(v) for k, v in row.items()} for row in value])
        elif isinstance(value, dict) and value:
            told[name] = table([{"name": k, "value": _cell(v)} for k, v in sorted(value.items())])
    return told


def _cell(value: Any) -> str | int | float | None:
    """A value as one cell of a table; a mapping or a list as its items."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(str(_cell(item)) for item in value)
    return float(f"{value:.5g}") if isinstance(value, float) else value
