"""Runs of stages one after the other in the ranks of one launch, which costs some ten seconds.

python -m torch.distributed.run --standalone --nproc_per_node=2 \
    -m tests.training.alignment.in_ranks runs.json
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tagarela_dagster.recipe import Recipe
from tagarela_dagster.training.alignment.states import STATES
from tagarela_dagster.training.alignment.tuning import WORK
from tagarela_dagster.training.kinds import KINDS
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.launch import launch, torchrun
from tagarela_dagster.training.launching.run_folder import write_result
from tagarela_dagster.training.stage import StageRun
from tagarela_dagster.training.tracking.metrics import METRICS_NAME

ERROR = "error.txt"


def train_all(
    runs: Sequence[StageRun], folder: Path, killed: Mapping[Path, tuple[Path, int]] | None = None
) -> None:
    """Train every run on two ranks; what one raises is left in its folder as ``error.txt``.

    Args:
        killed: folder of a run -> folder of the same run, undisturbed, and the step after whose
            state it was killed.
    """
    states = {str(out): [str(whole), step] for out, (whole, step) in (killed or {}).items()}
    rows = [
        {
            "recipe": run.recipe.as_json(),
            "inputs": {role: str(path) for role, path in run.inputs.items()},
            "out": str(run.out),
            "killed": states.get(str(run.out)),
        }
        for run in runs
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runs.json").write_text(json.dumps(rows), encoding="utf-8")
    command = torchrun(__name__, [str(folder / "runs.json")], 2)
    launch(command, run=folder, processes=2)


def leave_as_killed(out: Path, whole: Path, step: int) -> None:
    """Make ``out`` what a SIGKILL in the save after ``step``'s leaves: its state, metrics of later
    steps, a half-written folder of the Trainer, and one that was renamed but has no manifest."""
    shutil.copytree(whole / STATES / f"step-{step:06d}", out / STATES / f"step-{step:06d}")
    shutil.copy(whole / METRICS_NAME, out / METRICS_NAME)
    for folder in (out / STATES / "step-000099", out / WORK / "trainer" / "checkpoint-99"):
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text('{"global_step": 99')


def main() -> None:
    import gc

    from accelerate.state import AcceleratorState
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    from tagarela_dagster.training.pretraining.engine import connect

    connect()
    import torch.distributed as dist

    for row in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        inputs = {role: Path(path) for role, path in row["inputs"].items()}
        run = StageRun(Recipe.model_validate(row["recipe"]), "tuned", inputs, Path(row["out"]))
        run.out.mkdir(parents=True, exist_ok=True)
        if row["killed"] and dist.get_rank() == 0:
            whole, step = row["killed"]
            leave_as_killed(run.out, Path(whole), step)
        dist.barrier()
        try:
            result = importlib.import_module(KINDS[run.section.kind].module).train(run)
        except TrainingError as error:
            (run.out / ERROR).write_text(str(error), encoding="utf-8")
        else:
            if dist.get_rank() == 0:
                write_result(run.out, result)
        dist.barrier()
        # One training a process is what these singletons are made for.
        gc.collect()
        unset_hf_deepspeed_config()
        AcceleratorState._reset_state(reset_partial_state=True)


if __name__ == "__main__":
    main()
