"""Each gate as a blocking asset check, and one check that the recipe is the one materialized."""

import warnings

import dagster as dg

from tagarela_dagster.assets.partitions import CHECKPOINTS, CORPUS
from tagarela_dagster.resources.gates import Gate
from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.stations import Scope

# Checks of single partitions are a preview in this Dagster; its version is pinned.
warnings.filterwarnings(
    "ignore", category=dg.PreviewWarning, message=".*partitions_def on an Asset"
)
PARTITIONS = {"snapshot": CORPUS, "checkpoint": CHECKPOINTS, "whole": None}


def build_checks(road: Road) -> list[dg.AssetChecksDefinition]:
    """One blocking check for each gate, ``recipe_current`` for each station."""
    scopes = {asset: station.scope for asset, station in road.stations.items()}
    gates = [
        _gate(asset, scope, name, gate)
        for asset, scope in scopes.items()
        for name, gate in road.gates(asset).items()
    ]
    return gates + [_recipe_current(asset, scope) for asset, scope in scopes.items()]


def _gate(asset: str, scope: Scope, name: str, gate: Gate) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name=name,
        blocking=True,
        partitions_def=PARTITIONS[scope],
        description=" ".join((gate.__doc__ or "").split()),
    )
    def check(
        context: dg.AssetCheckExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.AssetCheckResult:
        manifest = road.lake.require(asset, _partition(context))
        verdict = gate(road.lake, manifest)
        return dg.AssetCheckResult(
            passed=verdict.passed, description=verdict.sentence, metadata=verdict.numbers
        )

    return check


def _recipe_current(asset: str, scope: Scope) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name="recipe_current",
        partitions_def=PARTITIONS[scope],
        description="Made by the recipe and the code that are loaded now, from the inputs that "
        "are published now.",
    )
    def check(
        context: dg.AssetCheckExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.AssetCheckResult:
        state = road.state(asset, _partition(context))
        return dg.AssetCheckResult(
            passed=state == "fresh", severity=dg.AssetCheckSeverity.WARN, description=state
        )

    return check


def _partition(context: dg.AssetCheckExecutionContext) -> str | None:
    return context.partition_key if context.has_partition_key else None
