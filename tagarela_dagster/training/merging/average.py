"""Kind ``average``: the mean of a run's last checkpoints, kept if held-out text says so.

The mean of weights along one run often scores better than its last point (arXiv 1803.05407), and
stands in for part of the decay (arXiv 2306.03241).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.merging.merge import merge_and_judge
from tagarela_dagster.training.merging.rules import linear

if TYPE_CHECKING:
    from tagarela_dagster.recipe.merging import Average
    from tagarela_dagster.training.stage import StageRun


def train(run: StageRun) -> dict[str, Any]:
    """Average, judge, keep the better; nothing is trained."""
    section: Average = run.section
    folder = run.input(f"{section.parent}.run")
    published = [c for c in checkpoints.published(folder) if c.model.is_dir()]
    if len(published) < section.last:
        raise TrainingError(
            f"{run.name} averages the last {section.last} checkpoints of {section.parent}, which "
            f"has {len(published)}: lower `last`, or its checkpoint_every"
        )
    last = published[-section.last :]
    for checkpoint in last:
        checkpoint.verify("model")
    models = {checkpoint.folder.name: checkpoint.model for checkpoint in last}
    newest = {last[-1].folder.name: last[-1].model}
    result = merge_and_judge(
        run, models, newest, lambda tensors: linear([*tensors.values()], [1.0] * len(tensors))
    )
    return {**result, "averaged": ", ".join(models)}
