"""Resume: load a checkpoint's state into an engine, on any number of ranks and at any ZeRO stage.

Each rank reads the ranges of parameters that it holds (partition.py) from the state files of all
ranks that wrote them (state.py). At the same world size and stage every bit is restored; on
another one the sums over ranks are taken in another order, so losses agree to rounding.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from tagarela_dagster.training.checkpointing.checkpoints import (
    STATE,
    Checkpoint,
    resumable,
    set_aside,
)
from tagarela_dagster.training.checkpointing.partition import WEIGHTS, Flat, Partition
from tagarela_dagster.training.checkpointing.state import RANDOM, RANDOM_CUDA, StateReader
from tagarela_dagster.training.launching.failure import TrainingError

logger = logging.getLogger(__name__)


def resume_newest(engine: Any, run: Path) -> Checkpoint | None:
    """Load the newest checkpoint whose state is whole; every rank calls this. None without any.

    Newer ones that are damaged are set aside (checkpoints.set_aside) with a warning, and the run
    goes on from before them.

    Raises:
        TrainingError: there are checkpoints and none is whole, or one was written by a release
            whose state is not read.
    """
    import torch.distributed as dist

    damaged: list[tuple[Checkpoint, str]] = []
    for checkpoint in reversed(resumable(run)):
        reason = _damage(checkpoint)
        if reason is None:
            if dist.get_rank() == 0:
                for broken, why in damaged:
                    logger.warning("%s: it is set aside as %s", why, set_aside(broken))
            dist.barrier()
            load_state(engine, checkpoint)
            return checkpoint
        damaged.append((checkpoint, reason))
    if damaged:
        raise TrainingError(
            f"{damaged[0][1]}, and none of the {len(damaged)} checkpoints that the run could go on "
            f"from is whole: put the files back, or remove {damaged[0][0].folder.parent} to start "
            "from the beginning"
        )
    return None


def resume(engine: Any, checkpoint: Checkpoint) -> None:
    """Load weights and optimizer state of a checkpoint; every rank calls this.

    Raises:
        TrainingError: a file is missing or damaged, or it is another model's.
    """
    reason = _damage(checkpoint)
    if reason is not None:
        raise TrainingError(
            f"{reason}: remove {checkpoint.folder} to go on from the checkpoint before it"
        )
    load_state(engine, checkpoint)


def load_state(engine: Any, checkpoint: Checkpoint) -> None:
    """Load a checkpoint whose files are known to be whole; every rank calls this."""
    import torch
    import torch.distributed as dist

    partition = Partition(engine)
    with StateReader(checkpoint.folder / STATE) as reader:
        trained = {
            partition.names[p]: getattr(p, "ds_numel", p.numel())
            for p in engine.module.parameters()
            if p.requires_grad
        }
        found = reader.parameters
        differ = sorted({name for name, _ in trained.items() ^ found.items()})
        if differ:
            raise TrainingError(
                f"{checkpoint.folder} has the state of another model: {len(differ)} parameters "
                f"differ in name or size ({', '.join(differ[:3])}, …). Choose another run folder"
            )
        for flat in partition.flats:
            with partition.held(flat, changed=True):
                _fill(flat, reader)
        partition.apply()
        for name, value in reader.counters.items():
            setattr(engine, name, value)
        # Dropout draws the same only where the same ranks draw it.
        if checkpoint.record["world_size"] == dist.get_world_size():
            random = reader.random(dist.get_rank())
            torch.set_rng_state(random[RANDOM])
            if RANDOM_CUDA in random and torch.cuda.is_available():
                torch.cuda.set_rng_state(random[RANDOM_CUDA], engine.device)
    dist.barrier()


def _fill(flat: Flat, reader: StateReader) -> None:
    """Read a flat tensor's fragments; state that the optimizer has not made yet is made."""
    import torch

    state = flat.state()
    for fragment in flat.fragments:
        where = slice(fragment.start, fragment.start + fragment.count)
        for key in reader.keys(fragment.parameter):
            values = reader.read(fragment.parameter, key, fragment.offset, fragment.count)
            if key != WEIGHTS and key not in state:
                state[key] = torch.zeros_like(flat.weights, dtype=values.dtype)
            target = flat.weights if key == WEIGHTS else state[key]
            target.detach().view(-1)[where].copy_(values)
    if flat.fragments:
        for key, value in reader.scalars(flat.fragments[0].parameter).items():
            state[key] = _scalar(flat, value)


def _scalar(flat: Flat, value: float) -> Any:
    """A scalar as the optimizer counts it: torch's own as tensors (on the device if fused), those
    of DeepSpeed as whole numbers."""
    import torch

    if not isinstance(flat.optimizer, torch.optim.Adam | torch.optim.AdamW):
        return int(value)
    device = flat.weights.device if flat.optimizer.defaults.get("fused") else None
    return torch.tensor(value, dtype=torch.float32, device=device)


def _damage(checkpoint: Checkpoint) -> str | None:
    """Which of the state's files is damaged; the ranks share the hashing."""
    import torch.distributed as dist

    rank, world = dist.get_rank(), dist.get_world_size()
    found: list[str | None] = [None] * world
    dist.all_gather_object(found, checkpoint.damage(STATE, rank, world))
    return next((reason for reason in found if reason), None)
