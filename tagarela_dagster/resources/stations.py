"""The stations of the road: what each asset reads and how it is partitioned.

One table says it for the graph (dependencies on the page), for the lake (inputs of a manifest)
and for the plan (what is stale because of what), so that the three cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tagarela_dagster.recipe.models import MODEL_ASSETS
from tagarela_dagster.recipe.stage import BASE
from tagarela_dagster.recipe.training import Training
from tagarela_dagster.training.kinds import KINDS

Scope = Literal["snapshot", "whole", "checkpoint"]
SOURCE = "source"
"""Stands for the source asset of a partition's own source."""


@dataclass(frozen=True)
class Station:
    """One asset of the road.

    Attributes:
        scope: one partition a (source, snapshot), none at all, or one a checkpoint.
        reads: assets whose manifests are its inputs (``Road.reads``: those that the recipe asks
            for); a station of scope ``snapshot`` reads the same partition of another, a model
            the partitions that it is trained on, any other all published partitions.
        logic: version of the code behind the asset, kept here and nowhere else: raise it when the
            same recipe and inputs give other bytes, and the page says what is stale.
        kind: of a training stage (training/kinds.py); empty for every other asset.
    """

    name: str
    scope: Scope
    reads: tuple[str, ...]
    logic: str = "1"
    kind: str = ""


ROAD: dict[str, Station] = {
    station.name: station
    for station in (
        Station("benchmarks", "whole", ()),
        Station("documents", "snapshot", (SOURCE,)),
        Station("variety_model", "whole", ("documents",)),
        Station("perplexity_model", "whole", ("documents",)),
        Station("classifiers", "whole", ("documents",)),
        Station("measured", "snapshot", ("documents", *MODEL_ASSETS)),
        Station("signatures", "snapshot", ("measured",)),
        Station("filtered", "snapshot", ("measured",)),
        Station("clusters", "whole", ("signatures", "filtered")),
        Station("deduped", "snapshot", ("filtered", "clusters")),
        Station("repeats", "whole", ("signatures", "filtered", "measured", "deduped")),
        Station("clean", "snapshot", ("deduped", "measured", "repeats", "benchmarks")),
        Station("contamination", "whole", ("clean", "benchmarks")),
        Station("held_out", "whole", ("clean",)),
        Station("tokenizer", "whole", ("clean",)),
        Station("tokens", "snapshot", ("clean", "tokenizer"), logic="2"),
        Station("card", "whole", ("clean", "tokens")),
        Station("mixture", "whole", ("tokens", "clusters"), logic="2"),
        Station("scores", "checkpoint", ("benchmarks", "held_out", "contamination"), logic="3"),
    )
}
"""In the order of the flow, without the stages of training, which a recipe names itself."""

DOCUMENT_STAGES = ("documents", "measured", "filtered", "deduped", "clean", "tokens")
"""Stages that keep a ledger of documents, in order: each takes in what the one before keeps."""


def stage_stations(training: Training) -> dict[str, Station]:
    """A station for each training stage of a recipe, each after its parents."""
    return {
        name: Station(name, "whole", stage.reads, KINDS[stage.kind].logic, stage.kind)
        for name, stage in training.in_order.items()
    }


def with_stages(training: Training) -> dict[str, Station]:
    """The whole road of a recipe: training stands before the scores, and the base before the
    tokenizer, which may be its own."""
    stages = stage_stations(training)
    road: dict[str, Station] = {}
    for name, station in ROAD.items():
        if name == "tokenizer" and BASE in stages:
            road[BASE] = stages.pop(BASE)
        if name == "scores":
            road |= stages
        road[name] = station
    return road
