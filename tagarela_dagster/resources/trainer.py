"""Trainer: runs a training, follows its run folder, and publishes its model to the lake.

The training itself is a tree of processes of its own (training/launching/launch.py), which ends
with this one; Dagster's process never imports torch.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.resources.follow import RunFollower
from tagarela_dagster.resources.road import Road
from tagarela_dagster.training.alignment.sft import FineTuning, fine_tune
from tagarela_dagster.training.pretraining.pretrain import Pretraining, pretrain

OnMetrics = Callable[[dict[str, Any]], None]
OnCheckpoint = Callable[[str, Path], None]


def pretrain_model(
    writer: PartitionWriter, *, road: Road, on_metrics: OnMetrics, on_checkpoint: OnCheckpoint
) -> Manifest:
    """Run or resume the pretraining that the recipe asks for; publish its last model.

    Args:
        on_metrics: given lines of metrics.jsonl while training runs.
        on_checkpoint: given partition key and folder of each checkpoint once it is whole.

    Raises:
        TrainingError: the training ended with an error.
    """
    run = road.run_folder("pretrain")
    follower = RunFollower(
        run,
        road.recipe.training.pretrain.steps,
        on_metrics,
        lambda folder: on_checkpoint(f"{run.name}-{folder.name}", folder),
    )
    training = Pretraining(
        recipe=road.recipe,
        mixture=road.lake.data("mixture"),
        lake=road.lake.root,
        tokenizer=road.lake.data("tokenizer"),
        out=run,
    )
    result = pretrain(training, on_poll=follower.poll)
    follower.poll()
    last = run / "checkpoints" / result["checkpoints"][-1] / "model"
    return _publish(writer, {"model": last}, {**result, "run": run.name})


def tune_model(writer: PartitionWriter, *, road: Road, on_metrics: OnMetrics) -> Manifest:
    """Fine-tune the pretrained model on conversations; publish adapter and merged weights.

    Raises:
        TrainingError: the fine-tuning ended with an error.
    """
    run = road.run_folder("sft")
    section = road.recipe.training.sft
    follower = RunFollower(run, section.steps, on_metrics, lambda _: None)
    tuning = FineTuning(road.recipe, road.lake.data("pretrain") / "model", section.data, run)
    result = fine_tune(tuning, on_poll=follower.poll)
    follower.poll()
    folders = {"adapter": run / "adapter", "merged": run / "merged"}
    return _publish(writer, folders, {**result, "run": run.name})


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
    # Times are not part of what was made: the same training gives the same manifest.
    kept = {key: value for key, value in counts.items() if key != "seconds"}
    return writer.publish(shards, kept)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
