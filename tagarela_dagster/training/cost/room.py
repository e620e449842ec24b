"""Room: a stage's section as a setting whose memory can be told, and the check before it starts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tagarela_dagster.recipe.alignment import Preference, Reward, Tuned
from tagarela_dagster.recipe.pretraining import Pretrain
from tagarela_dagster.recipe.stage import Distributed, Method, Stage
from tagarela_dagster.training.cost.fitting import require_fit
from tagarela_dagster.training.cost.memory import Memory, Setting
from tagarela_dagster.training.cost.shape import Shape
from tagarela_dagster.training.pretraining.layout import layout
from tagarela_dagster.training.pretraining.losses import CHUNK

if TYPE_CHECKING:
    import torch

PAIRED = (Preference, Reward)
"""Kinds whose items are two sequences, a chosen answer and a rejected one."""


def adapted(stage: Stage) -> tuple[Method, int]:
    """How a stage adapts weights, and the rank of its adapter (0 without)."""
    if not isinstance(stage, Pretrain | Tuned) or stage.method == "full":
        return "full", 0
    return stage.method, stage.lora.rank


def stage_setting(
    stage: Distributed, shape: Shape, world: int, context: int, device: str, *, beside: int = 0
) -> Setting:
    """How one of ``world`` ranks trains.

    Args:
        context: tokens of a sequence.
        device: ``cuda`` or ``cpu``.
        beside: parameters of frozen models that are held too (a teacher, a reference).

    Raises:
        TrainingError: the batch cannot be divided over so many ranks.
    """
    divided = layout(stage, world)
    method, rank = adapted(stage)
    width = {"bf16": 2, "fp32": 4}[stage.precision]
    tuned = isinstance(stage, Tuned)
    return Setting(
        world=world,
        micro_batch=divided.micro_batch,
        accumulation=divided.accumulation,
        context=context,
        zero_stage=stage.zero_stage,
        precision=stage.precision,
        checkpointing=stage.activation_checkpointing,
        offload_optimizer=stage.offload.optimizer,
        offload_parameters=stage.offload.parameters,
        method=method,
        rank=rank,
        # DeepSpeed's bf16 takes the adapter with it; TRL leaves it in fp32.
        adapter_width=4 if tuned else width,
        double_quantisation=isinstance(stage, Pretrain | Tuned) and stage.lora.double_quantisation,
        fused=shape.gated and stage.attention != "eager",
        sequences=2 if isinstance(stage, PAIRED) else 1,
        loss_chunk=None if tuned else CHUNK,
        beside=width * beside,
        muon=isinstance(stage, Pretrain) and stage.optimizer == "muon",
        device=device,
    )


def require_room(
    stage: Distributed,
    shape: Shape,
    world: int,
    context: int,
    device: torch.device,
    *,
    beside: int = 0,
) -> Memory:
    """Predicted memory of this rank, before anything large is allocated.

    Raises:
        TrainingError: it is more than the device has; with the arithmetic, and what would fit.
    """
    setting = stage_setting(stage, shape, world, context, device.type, beside=beside)
    if device.type == "cuda":
        import torch

        available = torch.cuda.get_device_properties(device).total_memory
        return require_fit(shape, setting, available)
    import psutil

    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    return require_fit(shape, setting, psutil.virtual_memory().total // ranks)
