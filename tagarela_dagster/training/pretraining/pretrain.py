"""Kind ``pretrain``: next-token training on a slice of the mixture, with DeepSpeed ZeRO.

A new model, or one that a parent stage left, continued in full or with an adapter. Started through
training/stage.py; a run that was stopped goes on from its newest checkpoint.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.mixing.account import reconcile
from tagarela_dagster.training.tracking.journal import Journal
from tagarela_dagster.training.tracking.metrics import loss_ends, read_metrics, rewind_metrics

if TYPE_CHECKING:
    from tagarela_dagster.training.mixing.sampler import Sampler
    from tagarela_dagster.training.pretraining.losses import Loss
    from tagarela_dagster.training.stage import StageRun

logger = logging.getLogger(__name__)


def train(run: StageRun, loss: Callable[[Any], Loss] | None = None) -> dict[str, Any]:
    """Train this rank's part; rank 0's answer is the result.

    Args:
        loss: given the engine, what is trained (losses.py); without one, next tokens.
    """
    import torch.distributed as dist

    from tagarela_dagster.training.checkpointing.export import verify_export
    from tagarela_dagster.training.models.model import count_parameters, load_tokenizer
    from tagarela_dagster.training.pretraining.data import Batches
    from tagarela_dagster.training.pretraining.engine import start_engine
    from tagarela_dagster.training.pretraining.loop import Loop

    section = run.section
    rank, world = dist.get_rank(), dist.get_world_size()
    tokenizer = load_tokenizer(run.input("tokenizer"))
    sampler = open_mixture(run, tokenizer)
    first, _ = run.recipe.training.slices[run.name]
    batches = Batches(sampler, section, rank, world, first)
    model = starting_model(run, tokenizer)
    parameters = count_parameters(model)
    engine = start_engine(model, section)

    rows = resumed(engine, run)
    with recorded(run, engine, tokenizer, parameters) as on_step:
        Loop(engine, batches, section, rows, on_step, loss and loss(engine)).run()
    dist.barrier()
    difference = verify_export(checkpoints.published(run.out)[-1], engine, tokenizer)
    if rank:
        return {}
    result = _result(run, parameters, sampler)
    if section.method == "full":
        return {**result, "export_difference": difference}
    return result | _merged(run, result["checkpoints"][-1], tokenizer)


def open_mixture(run: StageRun, tokenizer: Any) -> Sampler:
    """The mixture. Raises TrainingError when it is of another tokenizer or context."""
    from tagarela_dagster.training.mixing.sampler import open_sampler

    sampler = open_sampler(run.input("mixture"), run.input("lake"))
    context = run.recipe.training.model.context
    if (sampler.context, sampler.vocabulary) != (context, len(tokenizer)):
        raise TrainingError(
            f"the mixture has context {sampler.context} and vocabulary {sampler.vocabulary}, the "
            f"recipe {context} and the tokenizer {len(tokenizer)}: materialize mixture again with "
            "this recipe and tokenizer"
        )
    return sampler


def resumed(engine: Any, run: StageRun) -> list[dict[str, Any]]:
    """Load the newest checkpoint into ``engine``, if there is one, and take the metrics back to it;
    returns their lines, none at the beginning. Every rank calls this."""
    import torch.distributed as dist

    from tagarela_dagster.training.checkpointing.resume import resume_newest

    last = resume_newest(engine, run.out)
    done = last.step if last else 0
    if dist.get_rank() == 0:
        rewind_metrics(run.out, done)
    dist.barrier()
    rows = read_metrics(run.out)
    if len(rows) != done:
        raise TrainingError(f"{run.out}/metrics.jsonl lacks steps: remove {run.out}, start again")
    logger.info("rank %d of %d from step %d", dist.get_rank(), dist.get_world_size(), done)
    return rows


@contextmanager
def recorded(
    run: StageRun, engine: Any, tokenizer: Any, parameters: int
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """What a loop calls after each step: writes its line, and saves a checkpoint where it is one.
    Every rank calls this; the last checkpoint is published when it is left."""
    from tagarela_dagster.training.checkpointing.saver import Saver

    context = run.recipe.training.model.context
    saver = Saver(engine, tokenizer, run.out, run.section)
    with Journal(run, engine.module.config, engine.device, context) as journal, saver:

        def on_step(row: dict[str, Any]) -> None:
            journal.write(row)
            saver.check()
            if "tokens_per_cell" in row:
                names = ("step", "loss", "tokens", "tokens_per_source")
                saver.save({**{name: row[name] for name in names}, "parameters": parameters})

        yield on_step


def starting_model(run: StageRun, tokenizer: Any) -> Any:
    """The model that the stage begins with: new, or its parent's with what the method adds.

    Raises:
        TrainingError: the parent's model has another vocabulary than the mixture, or the training
            cannot fit into memory.
    """
    import torch.distributed as dist
    from transformers import AutoConfig

    from tagarela_dagster.training.adaptation.lora import load_parent, local_device
    from tagarela_dagster.training.cost.room import require_room
    from tagarela_dagster.training.cost.shape import config_shape, model_shape
    from tagarela_dagster.training.models.model import build_model, choose_attention
    from tagarela_dagster.training.pretraining.engine import sharded

    section, seed = run.section, run.recipe.seed
    world, context = dist.get_world_size(), run.recipe.training.model.context
    device = local_device()
    if section.parent is None:
        shape = model_shape(run.recipe.training.model, len(tokenizer))
        require_room(section, shape, world, context, device)
        with sharded(section):
            return build_model(run.recipe.training.model, tokenizer, seed, section.attention)
    folder = run.input(section.parent) / checkpoints.MODEL
    config = AutoConfig.from_pretrained(folder)
    if config.vocab_size < len(tokenizer):
        raise TrainingError(
            f"{section.parent} knows {config.vocab_size} tokens and the mixture's tokenizer has "
            f"{len(tokenizer)}: transplant the tokenizer first (a stage of kind surgery), or let "
            "the mixture take the parent's"
        )
    require_room(section, config_shape(config.to_dict()), world, context, device)
    with sharded(section):
        return load_parent(
            folder,
            section.method,
            section.precision,
            section.lora,
            zero_stage=section.zero_stage,
            attention=choose_attention(config, section.attention),
            seed=seed,
        )


def _merged(run: StageRun, name: str, tokenizer: Any) -> dict[str, Any]:
    """The last checkpoint's adapter merged into its parent, as the model of this stage."""
    from tagarela_dagster.training.adaptation.merge import merge_adapter
    from tagarela_dagster.training.adaptation.probe import probe_ids

    section = run.section
    # A copy: merging leaves its probe beside the adapter, and a published checkpoint is sealed.
    adapter = run.out / checkpoints.ADAPTER
    # A killed one's checkpoint may be links to its model, which must not be written through.
    for made in (adapter, run.out / checkpoints.MODEL):
        shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(run.out / checkpoints.CHECKPOINTS / name / checkpoints.ADAPTER, adapter)
    report = merge_adapter(
        run.input(section.parent) / checkpoints.MODEL,
        adapter,
        run.out / checkpoints.MODEL,
        tokenizer,
        probe_ids(tokenizer, run.recipe.training.model.context),
        onto=section.lora.merge_onto,
    )
    folders = {"model": checkpoints.MODEL, "adapter": checkpoints.ADAPTER}
    return {"folders": folders, **report.as_json()}


def _result(run: StageRun, parameters: int, sampler: Sampler) -> dict[str, Any]:
    rows = read_metrics(run.out)
    names = [c.folder.name for c in checkpoints.published(run.out)]
    return {
        "folders": {"model": f"{checkpoints.CHECKPOINTS}/{names[-1]}/model"},
        "steps": rows[-1]["step"],
        "tokens": rows[-1]["tokens"],
        "tokens_per_source": rows[-1]["tokens_per_source"],
        "account": reconcile(sampler.plan, rows[-1]["tokens_per_cell"], due(run, sampler)),
        **loss_ends(rows),
        "parameters": parameters,
        "checkpoints": names,
        "damaged_checkpoints": checkpoints.damaged(run.out),
        "seconds": rows[-1]["seconds"],
    }


def due(run: StageRun, sampler: Sampler) -> dict[str, int]:
    """Cell -> tokens of this stage's slice of the mixture."""
    first, count = run.recipe.training.slices[run.name]
    before, after = sampler.consumed(first), sampler.consumed(first + count)
    due = {cell: tokens - before.get(cell, 0) for cell, tokens in after.items()}
    return {cell: tokens for cell, tokens in due.items() if tokens}
