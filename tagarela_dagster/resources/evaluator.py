"""Evaluator: scores a checkpoint on the recipe's suite, in a process of its own."""

from __future__ import annotations

from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.road import Road
from tagarela_dagster.training.checkpointing.checkpoints import read_checkpoint


def score_checkpoint(writer: PartitionWriter, *, road: Road, checkpoint: str) -> Manifest:
    """Score a published checkpoint and publish scores and per-item results.

    Raises:
        TrainingError: a file of its model is missing or damaged.
        EvaluationFailedError: the evaluation ended with an error.
    """
    from tagarela_dagster.evals.publish import publish_scores

    found = read_checkpoint(road.checkpoints[checkpoint])
    found.verify("model")  # a flipped bit would be a score like any other
    items = road.lake.paths(road.require("benchmarks"), "items/")
    held_out = road.lake.paths(road.require("held_out"), "held_out")
    return publish_scores(
        writer,
        model=found.model,
        section=road.recipe.evals,
        benchmarks={path.stem: path for path in items},
        held_out=held_out[0],
        contamination=road.lake.data("contamination"),
    )
