"""A stage of a training: one run folder, one launcher, one way to start, resume and end it.

    python -m tagarela_dagster.training.stage --recipe recipes/sample.yaml --stage pretrain \\
        --input mixture=DIR --input lake=DIR --input tokenizer=DIR --out RUN

starts the stage's ranks and ends them with itself. In a rank (under torchrun or Slurm) the same
command is that rank. A stage that was stopped goes on from its newest checkpoint; a finished one
does nothing. RUN's contents: launching/run_folder.py. Inputs by role:

    mixture, tokenizer   data folders; lake: root of the lake that holds the mixture's token shards
    NAME                 a parent (a stage, pretrain or base): its folder, with model/ in it
    NAME.run             a parent's run folder, where its checkpoints are wanted (average)
    held_out             data folder of the held-out documents
    data, …              files that the stage's section names
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.recipe import Recipe, load_recipe
from tagarela_dagster.recipe.stage import Distributed, Stage
from tagarela_dagster.training.alignment.states import last_step
from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.kinds import KINDS
from tagarela_dagster.training.launching import run_folder
from tagarela_dagster.training.launching.backend import is_rank, is_running, run_ranks
from tagarela_dagster.training.launching.entry import launched, log_to_stdout, training_parser
from tagarela_dagster.training.launching.failure import TrainingError, room_needed, told
from tagarela_dagster.training.mixing.mixture import PLAN_NAME
from tagarela_dagster.training.tokens.tokenizer import TOKENIZER_FILE
from tagarela_dagster.training.tracking.metrics import rewind_metrics

MODULE = "tagarela_dagster.training.stage"
RECIPE_NAME = "recipe.yaml"
MODEL = "model"
FINAL = "final"
"""Checkpoint of a stage whose model is no checkpoint of a loop."""
IDENTIFYING = ("model*.safetensors*", "model/model*.safetensors*", "adapter/*.safetensors")
"""Files whose hashes identify a model: its weights, or the index of their shards."""

logger = logging.getLogger(__name__)
OnPoll = Callable[[], None]


@dataclass(frozen=True)
class StageRun:
    """One run of one stage.

    Attributes:
        name: the stage's name in the recipe.
        inputs: role -> file or folder.
        out: run folder.
    """

    recipe: Recipe
    name: str
    inputs: Mapping[str, Path]
    out: Path

    @property
    def section(self) -> Any:
        """The stage's section of the recipe."""
        return self.recipe.training.all_stages[self.name]

    @property
    def processes(self) -> int:
        """Ranks that the recipe asks for."""
        section: Stage = self.section
        return section.processes if isinstance(section, Distributed) else 1

    def input(self, role: str) -> Path:
        """Path of an input. Raises TrainingError when it was not given."""
        if role not in self.inputs:
            raise TrainingError(f"{self.name} reads {role}: give it (--input {role}=PATH)")
        return self.inputs[role]

    def config(self) -> dict[str, Any]:
        """What decides the result; identity of the run folder. How the work is laid over ranks,
        and where checkpoints are kept, is no part of it."""
        hashes = {role: _identity(role, path) for role, path in sorted(self.inputs.items())}
        return {
            **self.recipe.section(self.name),
            "inputs": {role: found for role, found in hashes.items() if found},
            "logic": KINDS[self.section.kind].logic,
        }


def run_stage(run: StageRun, on_poll: OnPoll | None = None) -> dict[str, Any]:
    """Start or resume a stage, wait for its end, and return its result; imports no torch.

    Args:
        on_poll: called about every second while it runs; what it raises ends the run.

    Raises:
        TrainingError: the run folder belongs to another run, or training failed.
    """
    if is_running(run.out):
        run_folder.claim_run(run.out, run.config())
    else:
        _prepare(run)
    if run_folder.read_result(run.out) is None:
        recipe = run.out / RECIPE_NAME
        with atomic_write(recipe) as file:
            json.dump(run.recipe.as_json(), file, ensure_ascii=False, indent=1)
        arguments = ["--recipe", str(recipe), "--scale", "full", "--stage", run.name]
        for role, path in run.inputs.items():
            arguments += ["--input", f"{role}={path}"]
        arguments += ["--out", str(run.out)]
        run_ranks(MODULE, arguments, run=run.out, processes=run.processes, on_poll=on_poll)
    result = run_folder.read_result(run.out)
    if result is None:
        raise TrainingError(f"{run.name} ended without a result: see {run.out}/log.txt")
    return result


def _prepare(run: StageRun) -> None:
    """Claim the folder and take it back to its newest checkpoint."""
    lock = run_folder.RunLock(run.out)
    try:
        lock.take()
        run_folder.claim_run(run.out, run.config())
        checkpoints.remove_incomplete(run.out)
        if run_folder.read_result(run.out) is None:
            # Whoever follows the run must not see steps that it is about to train again.
            done = max(checkpoints.resumable_step(run.out), last_step(run.out))
            rewind_metrics(run.out, done)
    finally:
        lock.release()


def train_rank(run: StageRun) -> None:
    """One rank of a stage: lock, claim, train, write the result."""
    if run_folder.read_result(run.out) is not None:
        logger.info("%s is finished already", run.out)
        return
    rank = int(os.environ.get("RANK", "0"))
    distributed = isinstance(run.section, Distributed)
    lock = run_folder.RunLock(run.out)
    if rank == 0:
        lock.take()
        run_folder.claim_run(run.out, run.config())
        checkpoints.remove_incomplete(run.out)
    if distributed:
        _join(lock, rank)
    try:
        kind = importlib.import_module(KINDS[run.section.kind].module)
        with room_needed(run.out):
            result = kind.train(run)
            if rank == 0:
                run_folder.write_result(run.out, _with_model(run, result))
    finally:
        lock.release()
    if distributed:
        import torch.distributed as dist

        dist.barrier()
        dist.destroy_process_group()


def _join(lock: run_folder.RunLock, rank: int) -> None:
    """Join the other ranks, and share the lock that rank 0 took with them."""
    from tagarela_dagster.training.pretraining.engine import connect

    connect()
    import torch.distributed as dist

    if rank == 0:
        lock.share()
    dist.barrier()
    lock.share()


def _with_model(run: StageRun, result: dict[str, Any]) -> dict[str, Any]:
    """The result; a model that no loop published becomes the checkpoint ``final``, so that it is
    scored like any other."""
    folder = result["folders"].get(MODEL)
    if not KINDS[run.section.kind].speaks:
        return result
    if folder is None or folder.startswith(f"{checkpoints.CHECKPOINTS}/"):
        return result
    names = ("step", "loss", "tokens", "parameters")
    values = {**result, "step": result.get("steps", 0), "loss": result.get("loss_last")}
    record = {name: values[name] for name in names if values.get(name) is not None}
    checkpoints.publish_model(
        run.out,
        FINAL,
        lambda out: shutil.copytree(run.out / folder, out, copy_function=_link),
        record,
    )
    return {**result, "checkpoints": [*result.get("checkpoints", []), FINAL]}


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def _identity(role: str, path: Path) -> Any:
    """What identifies an input: hashes of the files that decide what it holds."""
    if role in ("lake", "held_out") or role.endswith(".run"):
        return None  # read through the mixture's plan; only measured on; the parent's own run
    if path.is_file():
        return hash_file(path)
    for name in (PLAN_NAME, TOKENIZER_FILE):
        if role in ("mixture", "tokenizer") and (path / name).is_file():
            return hash_file(path / name)
    weights = sorted(file for pattern in IDENTIFYING for file in path.glob(pattern))
    if not weights:
        raise TrainingError(f"{role}: {path} is no file and holds no model")
    return [hash_file(file) for file in weights]


def main(arguments: list[str] | None = None) -> int:
    """Entry point: a rank where a launcher has started it as one, else the launcher."""
    parser = training_parser(MODULE, __doc__)
    parser.add_argument("--stage", required=True, help="name of the stage in the recipe")
    parser.add_argument(
        "--input", action="append", default=[], metavar="ROLE=PATH", help="an input; repeat it"
    )
    given = parser.parse_args(arguments)
    log_to_stdout()
    with told():
        recipe = load_recipe(given.recipe, given.scale)
        if given.stage not in recipe.training.all_stages:
            known = ", ".join(recipe.training.all_stages)
            raise TrainingError(f"{given.stage!r} is no stage of this recipe; stages: {known}")
        pairs = (pair.partition("=") for pair in given.input)
        inputs = {role: Path(path).resolve() for role, _, path in pairs}
        run = StageRun(recipe, given.stage, inputs, given.out.resolve())
        if is_rank():
            train_rank(run)
            return 0
    return launched(lambda: run_stage(run))


if __name__ == "__main__":
    sys.exit(main())
