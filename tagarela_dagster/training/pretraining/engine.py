"""Engine: DeepSpeed ZeRO around a model, on GPUs or CPU by the same code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import count_parameters, parameter_groups

if TYPE_CHECKING:
    import torch
    from deepspeed import DeepSpeedEngine
    from transformers import PreTrainedModel

MAX_BUCKET = 500_000_000
"""Elements that DeepSpeed reduces at once, its default."""


def connect() -> torch.device:
    """Join the other ranks (NCCL on GPUs, gloo on CPU) and return this rank's device.

    Raises:
        TrainingError: there are too few GPUs.
    """
    import logging

    import torch

    cuda = torch.cuda.is_available()
    if cuda and torch.cuda.device_count() < int(os.environ["LOCAL_WORLD_SIZE"]):
        raise TrainingError(
            f"{os.environ['LOCAL_WORLD_SIZE']} ranks for {torch.cuda.device_count()} GPUs: set "
            "training.pretrain.processes to the number of GPUs, or hide them "
            "(CUDA_VISIBLE_DEVICES=) to train on the CPU"
        )
    if not cuda:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import deepspeed

    deepspeed.utils.logger.setLevel(logging.WARNING)
    # DeepSpeed would compile its shared-memory all-reduce here (30 s to 3 minutes), which only
    # inference uses (deepspeed/comm/torch.py, inference_all_reduce); training goes by gloo.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    rank = int(os.environ["LOCAL_RANK"])
    device = torch.device("cuda", rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    deepspeed.init_distributed(dist_backend="nccl" if cuda else "gloo")
    return device


def start_engine(model: PreTrainedModel, section: Pretrain) -> Any:
    """DeepSpeed engine with AdamW over ``model``.

    Raises:
        TrainingError: DeepSpeed did not start as configured (it must never train silently with
            one process or without ZeRO).
    """
    import deepspeed
    import torch

    cuda = torch.cuda.is_available()
    optimizer = torch.optim.AdamW(
        parameter_groups(model, section.weight_decay),
        # The loop sets it before each step. DeepSpeed takes a step with zero gradients to
        # allocate its state, which must not decay the weights.
        lr=0.0,
        betas=(section.beta1, section.beta2),
        fused=True,
    )
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=optimizer,
        config=engine_config(section, count_parameters(model), overlap=cuda),
    )
    if section.zero_stage == 0:
        # In bf16 that step stays counted in Adam's bias correction; there is no state to keep yet.
        optimizer.state.clear()
    _check(engine, section)
    return engine


def engine_config(section: Pretrain, parameters: int, *, overlap: bool) -> dict[str, Any]:
    """DeepSpeed's configuration.

    Args:
        overlap: reduce gradients while the backward pass goes on; only GPUs have the streams.
    """
    bucket = min(MAX_BUCKET, parameters)
    return {
        "train_micro_batch_size_per_gpu": section.micro_batch,
        "gradient_accumulation_steps": section.accumulation,
        "gradient_clipping": section.clip,
        "bf16": {"enabled": section.precision == "bf16"},
        "zero_optimization": {
            "stage": section.zero_stage,
            "overlap_comm": overlap,
            "contiguous_gradients": True,
            "reduce_bucket_size": bucket,
            "allgather_bucket_size": bucket,
        },
        "steps_per_print": 1 << 60,
    }


def unsharded_gradient_norm(engine: Any) -> float:
    """Norm of the reduced gradients where DeepSpeed does not say it (stage 0 in fp32); else 0."""
    import torch

    if hasattr(engine.optimizer, "_global_grad_norm"):
        return 0.0
    gradients = [p.grad for p in engine.module.parameters() if p.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients))


def _check(engine: DeepSpeedEngine, section: Pretrain) -> None:
    import deepspeed
    import torch.distributed as dist

    found = {
        "engine": isinstance(engine, deepspeed.DeepSpeedEngine),
        "ranks": dist.get_world_size() == section.processes == engine.dp_world_size,
        "ZeRO stage": engine.zero_optimization_stage() == section.zero_stage,
        "precision": engine.bfloat16_enabled() == (section.precision == "bf16"),
    }
    wrong = [name for name, right in found.items() if not right]
    if wrong:
        raise TrainingError(f"DeepSpeed did not start as configured: {', '.join(wrong)} differ")
