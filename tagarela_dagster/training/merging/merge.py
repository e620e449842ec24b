"""Kind ``merge``: several models of one shape in one, kept if held-out text says so."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.provenance.files import replace_folder
from tagarela_dagster.training.merging import rules
from tagarela_dagster.training.merging.verdict import judge
from tagarela_dagster.training.merging.weights import Combine, merge_weights, tensor_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from tagarela_dagster.recipe.merging import Merge
    from tagarela_dagster.training.stage import StageRun

MODEL, STAGED = "model", ".model.partial"
ORIGIN = "origin"


def train(run: StageRun) -> dict[str, Any]:
    """Merge, judge, keep the better; nothing is trained."""
    section: Merge = run.section
    models = {name: run.input(name) / MODEL for name in section.models}
    read = dict(models)
    if section.origin:
        read[ORIGIN] = run.input(section.origin) / MODEL
    return merge_and_judge(run, read, models, combine_by(section))


def combine_by(section: Merge) -> Combine:
    """The section's rule, as a function of the tensors of one name."""
    names, weights = list(section.models), list(section.models.values())

    def combine(tensors: Mapping[str, Tensor]) -> Tensor:
        merged = [tensors[name] for name in names]
        if section.method == "slerp":
            return rules.slerp(merged, weights)
        if section.method == "ties":
            return rules.ties(merged, weights, tensors[ORIGIN], section.density)
        return rules.linear(merged, weights)

    return combine


def merge_and_judge(
    run: StageRun, read: Mapping[str, Path], candidates: Mapping[str, Path], combine: Combine
) -> dict[str, Any]:
    """Write the merged model, judge it against ``candidates``, and leave the better one.

    Args:
        read: models whose tensors ``combine`` is given.
    """
    staged = run.out / STAGED
    shutil.rmtree(staged, ignore_errors=True)
    merge_weights(read, staged, combine)
    verdict = judge(staged, candidates, run.input("held_out"), run.recipe.evals)
    if verdict.kept in candidates:
        shutil.rmtree(staged)
        shutil.copytree(candidates[verdict.kept], staged)
    parameters = sum(_product(shape) for shape in tensor_shapes(staged).values())
    replace_folder(staged, run.out / MODEL)
    return {"folders": {MODEL: MODEL}, "parameters": parameters, **verdict.as_json()}


def _product(shape: tuple[int, ...]) -> int:
    size = 1
    for edge in shape:
        size *= edge
    return size
