"""Model assets: what scores documents while they are measured, trained on named sources."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import dagster as dg

from tagarela_dagster.assets.metadata import table
from tagarela_dagster.assets.step import materialize, station_arguments
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.making import make
from tagarela_dagster.resources.road import Road

MODELS_LOOK: dict[str, Any] = {"group_name": "models", "owners": ["team:corpus"]}

DESCRIPTIONS = {
    "variety_model": "European or Brazilian Portuguese: a linear classifier over n-grams, "
    "calibrated on sources that it was not shown.",
    "perplexity_model": "N-gram language model of clean sources: the perplexity of every document, "
    "and whether it is head, middle or tail.",
    "classifiers": "Quality classifiers that the recipe names: linear, over n-grams, calibrated.",
}
EXPLANATION = (
    "\n\nTrained on the first snapshot of each source that the recipe names, so a new snapshot is "
    "scored with the same model."
)


def build_models(road: Road) -> list[dg.AssetsDefinition]:
    """The models group: the models that the recipe asks for."""
    return [_asset(road, name) for name in road.recipe.corpus.models.assets]


def _asset(road: Road, name: str) -> dg.AssetsDefinition:
    arguments = station_arguments(road, name, **MODELS_LOOK, kinds={"numpy"})

    @dg.asset(**arguments, description=DESCRIPTIONS[name] + EXPLANATION)
    def station(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        return materialize(context, road, name, partial(make, road), _describe)

    return station


def _describe(road: Road, manifest: Manifest) -> Mapping[str, Any]:
    counts = manifest.counts
    if "cuts" in counts:
        return {
            "head_ends_at": counts["cuts"][0],
            "tail_begins_at": counts["cuts"][1],
            "vocabulary": counts["vocabulary"],
            "training_megabytes": round(counts["bytes"] / 1e6, 2),
        }
    reports = counts.get("classifiers", {manifest.asset: counts})
    described: dict[str, Any] = {}
    for name, report in reports.items():
        described[f"{name}_left_out"] = table([report["left_out"]])
        described[f"{name}_by_source"] = table(report["by_source"])
        described[f"{name}_by_length"] = table(report["by_length"])
    return described
