"""Training assets: pretraining, its checkpoints, and the model that follows instructions."""

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
from tagarela_dagster.resources.follow import loss_curve
from tagarela_dagster.resources.road import Road

TRAINING_LOOK: dict[str, Any] = {
    "group_name": "training",
    "owners": ["team:training"],
    "pool": "training",
}


def build_training(road: Road) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The training group: pretrain, checkpoints, sft."""
    look = TRAINING_LOOK

    @dg.asset(
        **station_arguments(road, "pretrain", **look, kinds={"pytorch"}),
        description="Language model pretrained on the mixture with DeepSpeed ZeRO under torchrun."
        "\n\nIts loss shows here while it runs; each checkpoint becomes a partition of "
        "`checkpoints` as soon as it is whole. A run that was killed goes on from the newest one.",
    )
    def pretrain(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.resources.trainer import pretrain_model

        train = partial(
            pretrain_model,
            road=road,
            on_metrics=partial(_observe, context),
            on_checkpoint=partial(report_checkpoint, context.instance),
        )
        return materialize(context, road, "pretrain", train, _describe_pretrain)

    checkpoints = dg.AssetSpec(
        "checkpoints",
        deps=["pretrain"],
        group_name="training",
        partitions_def=CHECKPOINTS,
        owners=["team:training"],
        kinds={"pytorch", "huggingface"},
        description="Checkpoints as they are published: a model folder in Hugging Face layout, "
        "and the state to resume from.\n\nPlots over partitions are the loss curve.",
    )

    @dg.asset(
        **station_arguments(road, "sft", **look, kinds={"pytorch", "huggingface"}),
        description="The model fine-tuned on conversations with TRL and a LoRA adapter; adapter "
        "and merged weights.",
    )
    def sft(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.resources.trainer import tune_model

        tune = partial(tune_model, road=road, on_metrics=partial(_observe, context))
        return materialize(context, road, "sft", tune, _describe_sft)

    return [pretrain, checkpoints, *([sft] if "sft" in road.stations else [])]


def report_checkpoint(instance: dg.DagsterInstance, key: str, folder: Path) -> None:
    """Make a published checkpoint a partition on the page, while training goes on."""
    instance.add_dynamic_partitions("checkpoints", [key])
    record = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    names = ("step", "loss", "tokens", "parameters")
    metadata = {name: record[name] for name in names if name in record}
    event = dg.AssetMaterialization("checkpoints", partition=key, metadata=metadata)
    instance.report_runless_asset_event(event)


def _observe(context: dg.AssetExecutionContext, values: Mapping[str, Any]) -> None:
    numbers = {k: v for k, v in values.items() if isinstance(v, int | float)}
    context.log_event(dg.AssetObservation(context.asset_key, metadata=numbers))


def _describe_pretrain(road: Road, manifest: Manifest) -> Mapping[str, Any]:
    counts = manifest.counts
    curve = loss_curve(road.home.runs / "pretrain" / counts["run"])
    consumed: Mapping[str, int] = counts["tokens_per_source"]
    rows = [{"source": name, "tokens": tokens} for name, tokens in sorted(consumed.items())]
    return {
        "loss": round(counts["loss_last"], 4),
        "loss_curve": sparkline([loss for _, loss in curve], "loss by step"),
        "loss_first": round(counts["loss_first"], 4),
        "steps": counts["steps"],
        "tokens": counts["tokens"],
        "parameters": counts["parameters"],
        "consumed": table(rows),
        "account": table(counts["account"]),
    }


def _describe_sft(road: Road, manifest: Manifest) -> Mapping[str, Any]:
    curve = loss_curve(road.home.runs / "sft" / manifest.counts["run"])
    numbers = {k: v for k, v in manifest.counts.items() if isinstance(v, int | float)}
    return {"loss_curve": sparkline([loss for _, loss in curve], "loss by step"), **numbers}
