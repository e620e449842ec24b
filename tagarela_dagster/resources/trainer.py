"""Trainer: runs a stage of training, follows its run folder, and publishes its model to the lake.

The training itself is a tree of processes of its own (training/launching), which ends with this
one; Dagster's process never imports torch.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tagarela_dagster.corpus.sources.discover import source_folder
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.merging import Average
from tagarela_dagster.resources.follow import RunFollower
from tagarela_dagster.resources.road import Road
from tagarela_dagster.training.stage import StageRun, run_stage

OnMetrics = Callable[[dict[str, Any]], None]
OnCheckpoint = Callable[[str, Path], None]
VOLATILE = ("seconds", "folders", "cost")
"""Of a result, what is no part of what was made: the same training gives the same manifest."""


def train_stage(
    writer: PartitionWriter, *, road: Road, on_metrics: OnMetrics, on_checkpoint: OnCheckpoint
) -> Manifest:
    """Run or resume the stage that ``writer`` holds, and publish what it made.

    Args:
        on_metrics: given lines of metrics.jsonl while training runs.
        on_checkpoint: given partition key and folder of each checkpoint once it is whole.

    Raises:
        TrainingError: the training ended with an error.
    """
    run = stage_run(road, writer.asset)
    follower = RunFollower(
        run.out,
        getattr(run.section, "steps", None) or 1,
        on_metrics,
        lambda folder: on_checkpoint(f"{run.out.name}-{folder.name}", folder),
    )
    result = run_stage(run, on_poll=follower.poll)
    follower.poll()
    folders = {name: run.out / folder for name, folder in result["folders"].items()}
    counts = {key: value for key, value in result.items() if key not in VOLATILE}
    return _publish(writer, folders, {**counts, "run": run.out.name})


def stage_run(road: Road, name: str) -> StageRun:
    """The run of a stage that the recipe and the lake ask for now: inputs by role, run folder.

    Raises:
        MissingPartitionError: an input is not published.
    """
    stage = road.recipe.training.all_stages[name]
    inputs = {role: road.lake.data(role) for role in road.reads(name)}
    if "mixture" in inputs:
        inputs["lake"] = road.lake.root
    if isinstance(stage, Average):
        run = road.lake.require(stage.parent).counts["run"]
        inputs[f"{stage.parent}.run"] = road.home.runs / stage.parent / run
    inputs |= {role: source_folder(path) for role, path in stage.files.items()}
    return StageRun(road.recipe, name, inputs, road.run_folder(name))


def _publish(
    writer: PartitionWriter, folders: Mapping[str, Path], counts: Mapping[str, Any]
) -> Manifest:
    """Publish folders of files; linked where the file system can, copied where it cannot."""
    shards = []
    for name, folder in folders.items():
        for source in sorted(path for path in folder.rglob("*") if path.is_file()):
            relative = f"{name}/{source.relative_to(folder).as_posix()}"
            _link(source, writer.data / relative)
            shards.append(Shard.of(writer.data, relative, 0))
    return writer.publish(shards, counts)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
