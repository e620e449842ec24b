"""Pretraining: a new model on a mixture, with DeepSpeed ZeRO under torchrun.

    python -m tagarela_dagster.training.pretraining.pretrain --recipe recipes/sample.yaml \
        --mixture DIR --tokenizer DIR --out RUN [--scale tiny] [--lake DIR]

starts the recipe's ranks on this machine (gloo on CPU, NCCL on GPUs) and ends them with itself.
Under torchrun the same command is one rank. A run that was stopped goes on from its newest
checkpoint; a finished one does nothing. RUN's contents: run_folder.py.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.recipe import Recipe, load_recipe
from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.launching import run_folder
from tagarela_dagster.training.launching.entry import launched, log_to_stdout, training_parser
from tagarela_dagster.training.launching.failure import TrainingError, told
from tagarela_dagster.training.launching.launch import launch, torchrun
from tagarela_dagster.training.launching.processes import end_with_supervisor
from tagarela_dagster.training.mixing.account import reconcile
from tagarela_dagster.training.mixing.mixture import PLAN_NAME
from tagarela_dagster.training.mixing.sampler import Sampler
from tagarela_dagster.training.tokens.tokenizer import TOKENIZER_FILE
from tagarela_dagster.training.tracking.metrics import Metrics, read_metrics, rewind_metrics

MODULE = "tagarela_dagster.training.pretraining.pretrain"
LOGIC_VERSION = "1"
RECIPE_NAME = "recipe.yaml"
LAYOUT = {"processes", "micro_batch", "accumulation", "checkpoint_every", "keep_checkpoints"}
"""Settings that don't change what is trained, given the sequences of a step."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pretraining:
    """One pretraining run.

    Attributes:
        mixture: data folder of a mixture.
        lake: root of the lake that holds the mixture's token shards.
        tokenizer: folder in Hugging Face layout.
        out: run folder.
    """

    recipe: Recipe
    mixture: Path
    lake: Path
    tokenizer: Path
    out: Path

    def config(self) -> dict[str, Any]:
        """What decides the result; identity of the run folder.

        How a step's sequences are divided over ranks and micro-batches is no part of it.
        """
        pretrain = self.recipe.training.pretrain.as_json()
        return {
            "model": self.recipe.training.model.as_json(),
            "pretrain": {k: v for k, v in pretrain.items() if k not in LAYOUT},
            "sequences": self.recipe.training_sequences,
            "seed": self.recipe.seed,
            "mixture": hash_file(self.mixture / PLAN_NAME),
            "tokenizer": hash_file(self.tokenizer / TOKENIZER_FILE),
            "logic": LOGIC_VERSION,
        }


def pretrain(run: Pretraining, on_poll: Callable[[], None] | None = None) -> dict[str, Any]:
    """Start or resume a run on this machine, wait for its end, and return its result.

    Imports no torch: the ranks are processes of their own.

    Args:
        on_poll: called about every second while it runs; what it raises ends the run.

    Raises:
        TrainingError: the run folder belongs to another run, or training failed.
    """
    _prepare(run)
    if run_folder.read_result(run.out) is None:
        recipe = run.out / RECIPE_NAME
        with atomic_write(recipe) as file:
            json.dump(run.recipe.as_json(), file, ensure_ascii=False, indent=1)
        processes = run.recipe.training.pretrain.processes
        arguments = [
            *("--recipe", str(recipe), "--scale", "full", "--mixture", str(run.mixture)),
            *("--lake", str(run.lake), "--tokenizer", str(run.tokenizer), "--out", str(run.out)),
        ]
        command = torchrun(MODULE, arguments, processes)
        launch(command, run=run.out, processes=processes, on_poll=on_poll)
    result = run_folder.read_result(run.out)
    if result is None:
        raise TrainingError(f"the ranks ended without a result: see {run.out}/log.txt")
    return result


def _prepare(run: Pretraining) -> None:
    """Claim the folder and take it back to its newest checkpoint."""
    lock = run_folder.RunLock(run.out)
    try:
        lock.take()
        run_folder.claim_run(run.out, run.config())
        checkpoints.remove_incomplete(run.out)
        if run_folder.read_result(run.out) is None:
            last = checkpoints.newest(run.out, run.recipe.training.pretrain.processes)
            rewind_metrics(run.out, last.step if last else 0)
    finally:
        lock.release()


def train_rank(run: Pretraining) -> None:
    """One rank of a run, under torchrun."""
    section = run.recipe.training.pretrain
    rank = int(os.environ["RANK"])
    if run_folder.read_result(run.out) is not None:
        logger.info("%s is finished already", run.out)
        return
    lock = run_folder.RunLock(run.out)
    if rank == 0:
        lock.take()
        run_folder.claim_run(run.out, run.config())
        checkpoints.remove_incomplete(run.out)

    from tagarela_dagster.training.pretraining.engine import connect

    device = connect(section)
    import torch.distributed as dist

    if rank == 0:
        lock.share()
    dist.barrier()
    lock.share()
    try:
        _train(run, rank, device)
    finally:
        lock.release()
    dist.barrier()
    dist.destroy_process_group()


def _train(run: Pretraining, rank: int, device: Any) -> None:
    import torch.distributed as dist

    from tagarela_dagster.training.mixing.sampler import open_sampler
    from tagarela_dagster.training.models.model import build_model, count_parameters, load_tokenizer
    from tagarela_dagster.training.pretraining.data import Batches
    from tagarela_dagster.training.pretraining.engine import start_engine
    from tagarela_dagster.training.pretraining.loop import Loop, is_checkpoint

    training = run.recipe.training
    section, world = training.pretrain, dist.get_world_size()
    tokenizer = load_tokenizer(run.tokenizer)
    sampler = open_sampler(run.mixture, run.lake)
    if (sampler.context, sampler.vocabulary) != (training.model.context, len(tokenizer)):
        raise TrainingError(
            f"the mixture has context {sampler.context} and vocabulary {sampler.vocabulary}, the "
            f"recipe {training.model.context} and the tokenizer {len(tokenizer)}: materialize "
            "mixture again with this recipe and tokenizer"
        )
    batches = Batches(sampler, section, rank, world)
    model = build_model(training.model, tokenizer, run.recipe.seed)
    parameters = count_parameters(model)
    engine = start_engine(model, section, device)

    last = checkpoints.newest(run.out, world)
    if last:
        checkpoints.resume(engine, last)
    if rank == 0:
        rewind_metrics(run.out, last.step if last else 0)
    dist.barrier()
    rows = read_metrics(run.out)
    if len(rows) != (last.step if last else 0):
        raise TrainingError(f"{run.out}/metrics.jsonl lacks steps: remove {run.out}, start again")
    logger.info("rank %d of %d from step %d", rank, world, len(rows))
    metrics = Metrics(run.out) if rank == 0 else None

    def on_step(row: dict[str, Any]) -> None:
        if metrics:
            metrics.write(row)
        if not is_checkpoint(row["step"], section):
            return
        record = {name: row[name] for name in ("step", "loss", "tokens", "tokens_per_source")}
        record |= {"parameters": parameters, "world_size": world, "zero_stage": section.zero_stage}
        checkpoints.save(engine, tokenizer, run.out, record, keep=section.keep_checkpoints)
        engine.train()

    Loop(engine, batches, section, rows[-1] if rows else None, on_step).run()
    if rank == 0:
        run_folder.write_result(run.out, _result(run, parameters, sampler))


def _result(run: Pretraining, parameters: int, sampler: Sampler) -> dict[str, Any]:
    rows = read_metrics(run.out)
    done = sampler.consumed(run.recipe.training_sequences)
    return {
        "steps": rows[-1]["step"],
        "tokens": rows[-1]["tokens"],
        "tokens_per_source": rows[-1]["tokens_per_source"],
        "account": reconcile(sampler.plan, rows[-1]["tokens_per_cell"], done),
        "loss_first": rows[0]["loss"],
        "loss_last": rows[-1]["loss"],
        "parameters": parameters,
        "checkpoints": [c.folder.name for c in checkpoints.published(run.out)],
        "seconds": rows[-1]["seconds"],
    }


def main(arguments: list[str] | None = None) -> int:
    """Entry point: a rank under torchrun, else the launcher of the ranks."""
    parser = training_parser(MODULE, __doc__)
    parser.add_argument("--mixture", type=Path, required=True, help="data folder of a mixture")
    parser.add_argument("--lake", type=Path, help="root of its lake (default: from --mixture)")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer folder")
    given = parser.parse_args(arguments)
    log_to_stdout()
    mixture = given.mixture.resolve()
    is_rank = "TORCHELASTIC_RUN_ID" in os.environ
    if is_rank:
        end_with_supervisor()
    with told():
        run = Pretraining(
            recipe=load_recipe(given.recipe, given.scale),
            mixture=mixture,
            # <lake>/mixture/_/data-<hash>
            lake=given.lake or mixture.parents[2],
            tokenizer=given.tokenizer,
            out=given.out.resolve(),
        )
        if is_rank:
            train_rank(run)
            return 0
    return launched(lambda: pretrain(run))


if __name__ == "__main__":
    sys.exit(main())
