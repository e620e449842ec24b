"""Evaluation assets: benchmarks, held-out documents, scores of each checkpoint."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import dagster as dg

from tagarela_dagster.assets.metadata import describe_shards, table
from tagarela_dagster.assets.step import materialize, station_arguments
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.road import Road

EVALS_LOOK: dict[str, Any] = {"group_name": "evals", "owners": ["team:evals"]}
SCORE_RETRY = dg.RetryPolicy(max_retries=1, delay=10)


def build_evals(road: Road) -> list[dg.AssetsDefinition]:
    """The evals group: benchmarks, held_out, scores."""
    look = EVALS_LOOK

    @dg.asset(
        **station_arguments(road, "benchmarks", **look, kinds={"json"}),
        description="Benchmark items in use, pinned by hash. The corpus is decontaminated "
        "against them.",
    )
    def benchmarks(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.evals.benchmarks import pin_benchmarks

        pin = partial(pin_benchmarks, tasks=road.recipe.evals.last_word)
        return materialize(context, road, "benchmarks", pin, describe_shards)

    @dg.asset(
        **station_arguments(road, "held_out", **look, kinds={"parquet"}),
        description="Documents kept from training, chosen by a hash of their id: for bits per "
        "byte, and for last-word items that no model has seen.",
    )
    def held_out(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.held_out import publish_held_out

        def select(out: PartitionWriter) -> Manifest:
            clean = road.published("clean")
            return publish_held_out(
                out,
                shards=[path for m in clean for path in road.lake.paths(m, "kept/")],
                section=road.recipe.evals.held_out,
                seed=road.recipe.seed,
            )

        return materialize(context, road, "held_out", select, describe_shards)

    @dg.asset(
        **station_arguments(
            road,
            "scores",
            **look,
            kinds={"report", "parquet"},
            pool="evaluation",
            retry_policy=SCORE_RETRY,
        ),
        description="Scores of one checkpoint, each with its interval, protocol and per-item "
        "results.\n\nPlots over partitions show how each score moves with training.",
    )
    def scores(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.resources.evaluator import score_checkpoint

        score = partial(score_checkpoint, road=road, checkpoint=context.partition_key)
        return materialize(context, road, "scores", score, _describe_scores)

    return [benchmarks, held_out, scores]


def _describe_scores(road: Road, manifest: Manifest) -> Mapping[str, Any]:
    path = road.lake.paths(manifest, "scores.json")[0]
    rows = json.loads(path.read_text(encoding="utf-8"))
    shown = [
        {
            "task": row["task"],
            "protocol": row["protocol"],
            "value": row["value"],
            "interval": f"{row['low']:.4f} – {row['high']:.4f}",
            "items": row["items"],
        }
        for row in rows
    ]
    # Numbers of their own are plotted over checkpoints; short names fit the page.
    plotted = {_plot_name(row): round(row["value"], 4) for row in rows}
    searched = [
        {
            "task": row["task"],
            "protocol": row["protocol"],
            "contaminated": row["contamination"],
            "value": row["value"],
            "on_clean_items": row["clean_value"],
        }
        for row in rows
        if row.get("contamination") is not None
    ]
    told = {"contamination": table(searched)} if searched else {}
    return {"scores": table(shown), **told, **plotted}


def _plot_name(row: Mapping[str, Any]) -> str:
    task, protocol = row["task"], row["protocol"]
    if row["metric"] == "bits_per_byte":
        return task.replace("bits_per_byte_", "bpb/").replace("bits_per_byte", "bpb")
    return f"{task}/{protocol}"
