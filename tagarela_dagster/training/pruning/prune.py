"""Kind ``prune``: a smaller model cut out of a larger one, by masks that learn what to keep.

LLM-Shearing (arXiv 2310.06694): weights and masks are trained together on the stage's slice of the
mixture while Lagrange multipliers pull the masks to the target shape, and sources that the model
has lost more of are seen more often (loading.py). Every checkpoint holds the state to go on from
and, as its model, what would be cut out at that step; so the last one's model is the result. What
was lost is won back by the stages after it (continued pretraining, distill).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.mixing.account import reconcile
from tagarela_dagster.training.tracking.metrics import loss_ends, read_metrics

if TYPE_CHECKING:
    from tagarela_dagster.training.mixing.sampler import Sampler
    from tagarela_dagster.training.pruning.loop import PruneLoop
    from tagarela_dagster.training.stage import StageRun


def train(run: StageRun) -> dict[str, Any]:
    """Train this rank's part; rank 0's answer is the result."""
    import torch.distributed as dist

    from tagarela_dagster.training.checkpointing.export import verify_export
    from tagarela_dagster.training.models.model import load_tokenizer
    from tagarela_dagster.training.pretraining.pretrain import (
        open_mixture,
        recorded,
        resumed,
        starting_model,
    )
    from tagarela_dagster.training.pruning.loop import MaskedLoss, PruneLoop
    from tagarela_dagster.training.pruning.masks import masked_model

    section = run.section
    rank = dist.get_rank()
    tokenizer = load_tokenizer(run.input("tokenizer"))
    sampler = open_mixture(run, tokenizer)
    batches = _batches(run, sampler)
    masked = masked_model(
        starting_model(run, tokenizer),
        section.target,
        run.recipe.seed,
        section.sparsity_warmup_steps,
    )
    engine = _start(masked, section)
    rows = resumed(engine, run)
    parameters = _parameters(masked)
    with recorded(run, engine, tokenizer, parameters["after"]) as on_step:
        loss = MaskedLoss(masked, section.z_loss)
        loop = PruneLoop(engine, batches, section, rows, on_step, loss)
        reference = _open(loop, rows)
        loop.run()
    dist.barrier()
    difference = verify_export(checkpoints.published(run.out)[-1], engine, tokenizer)
    lost = _lost(loop, reference)
    if rank:
        return {}
    shapes = {"before": masked.parent.as_json(), "after": masked.target.as_json()}
    told = {"shapes": shapes, "parameters_before": parameters["before"], **lost}
    result = _result(run, sampler, batches)
    return {
        **result,
        **told,
        "parameters": parameters["after"],
        "export_difference": difference,
    }


def _batches(run: StageRun, sampler: Sampler) -> Any:
    import torch.distributed as dist

    from tagarela_dagster.training.pretraining.data import Batches
    from tagarela_dagster.training.pruning.loading import DynamicBatches

    first, count = run.recipe.training.slices[run.name]
    where = run.section, dist.get_rank(), dist.get_world_size(), first
    if run.section.reweights:
        return DynamicBatches(sampler, *where, count)
    return Batches(sampler, *where)


def _start(masked: Any, section: Any) -> Any:
    """Engine whose optimizer has masks and multipliers in a group with their own learning rate."""
    from tagarela_dagster.training.pretraining.engine import start_engine
    from tagarela_dagster.training.pretraining.optimizers import build_optimizer

    learned = [p for _, p in masked.named_parameters(recurse=False)]
    group = {"params": learned, "weight_decay": 0.0, "peak": section.mask_learning_rate}
    return start_engine(masked, section, build_optimizer(masked.model, section, [group]))


def _open(loop: PruneLoop, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Open the window of the next step; returns the parent's losses by source."""
    from tagarela_dagster.training.pruning.loading import DynamicBatches, Window

    batches, done = loop.batches, len(rows)
    if not isinstance(batches, DynamicBatches):
        return {}
    # Before the first step the model without masks is the parent.
    window = Window.from_row(rows[-1]) if done else batches.start(loop.losses_by_source("none"))
    batches.reopen(done, window)
    return window.reference


def _lost(loop: PruneLoop, reference: dict[str, float]) -> dict[str, Any]:
    """Losses on text that was kept back, by source: the parent's, and the cut model's."""
    if not reference:
        return {}
    return {"parent_losses": reference, "cut_losses": loop.losses_by_source("target")}


def _parameters(masked: Any) -> dict[str, int]:
    """Parameters of the parent, and of the model that will be cut out."""
    import torch

    from tagarela_dagster.training.models.model import count_parameters

    with torch.device("meta"):
        small = masked.skeleton()
    return {"before": count_parameters(masked.model), "after": count_parameters(small)}


def _result(run: StageRun, sampler: Sampler, batches: Any) -> dict[str, Any]:
    from tagarela_dagster.training.pretraining.pretrain import due
    from tagarela_dagster.training.pruning.loading import DynamicBatches

    rows = read_metrics(run.out)
    last = rows[-1]
    names = [c.folder.name for c in checkpoints.published(run.out)]
    dynamic = isinstance(batches, DynamicBatches)
    owed = batches.due() if dynamic else due(run, sampler)
    told: dict[str, Any] = {}
    if dynamic:
        changes = [row for row in rows if "probe_losses" in row]
        told = {
            "shares": [{"step": r["step"], **r["loading"]["shares"]} for r in changes],
            "given": batches.after.given,
            "unused_sequences": batches.unused,
        }
    return {
        "folders": {"model": f"{checkpoints.CHECKPOINTS}/{names[-1]}/{checkpoints.MODEL}"},
        "steps": last["step"],
        "tokens": last["tokens"],
        "tokens_per_source": last["tokens_per_source"],
        "account": reconcile(sampler.plan, last["tokens_per_cell"], owed),
        **loss_ends(rows),
        "sparsity": last["sparsity"],
        "sparsity_sought": last["sought"],
        "checkpoints": names,
        "damaged_checkpoints": checkpoints.damaged(run.out),
        "seconds": last["seconds"],
        **told,
    }
