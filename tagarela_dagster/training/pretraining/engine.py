"""Engine: DeepSpeed ZeRO around a model, on GPUs or CPU by the same code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.stage import Distributed
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import count_parameters
from tagarela_dagster.training.pretraining import optimizers
from tagarela_dagster.training.pretraining.layout import layout
from tagarela_dagster.training.pretraining.offload import check_offload, offload_config

if TYPE_CHECKING:
    import torch
    from deepspeed import DeepSpeedEngine

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
    # Its autotuner, which nothing here uses, imports mlflow where it is installed: 1 s of 8.
    sys.modules.setdefault("mlflow", None)  # type: ignore[arg-type]
    import deepspeed

    if sys.modules["mlflow"] is None:
        del sys.modules["mlflow"]
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


@contextmanager
def sharded(section: Distributed) -> Iterator[None]:
    """Where models are built or loaded; under ZeRO-3 each layer is divided as soon as it is made.

    So no rank ever holds the whole model. transformers asks for this configuration in
    ``from_config`` and ``from_pretrained``.
    """
    if section.zero_stage != 3:
        yield
        return
    import torch
    import torch.distributed as dist
    from transformers.integrations import HfDeepSpeedConfig
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    check_offload(section)
    config = engine_config(
        section, MAX_BUCKET, world=dist.get_world_size(), cuda=torch.cuda.is_available()
    )
    kept = HfDeepSpeedConfig(config)  # transformers holds a weak reference to it
    try:
        yield
    finally:
        unset_hf_deepspeed_config()
        del kept


def start_engine(model: Any, section: Any, optimizer: Any = None) -> Any:
    """DeepSpeed engine around ``model`` with the optimizer of ``section``, or one that was built
    with ``optimizers.build_optimizer`` already.

    Raises:
        TrainingError: settings don't go together, or DeepSpeed did not start as configured (it
            must never train silently with one process or without ZeRO).
    """
    import deepspeed
    import torch
    import torch.distributed as dist

    cuda = torch.cuda.is_available()
    _check_weights(model, section)
    check_offload(section)
    if section.activation_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    optimizer = optimizer or optimizers.build_optimizer(model, section)
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=optimizer,
        config=engine_config(
            section, count_parameters(model), world=dist.get_world_size(), cuda=cuda
        ),
    )
    if section.zero_stage == 0:
        # In bf16 the step that DeepSpeed takes to allocate state stays counted in Adam's bias
        # correction; there is no state to keep yet.
        optimizer.state.clear()
        # One rank has nothing to reduce; DeepSpeed would copy all gradients there and back.
        engine.enable_backward_allreduce = dist.get_world_size() > 1
    optimizers.attach(engine)
    _check(engine, section)
    if section.compile:
        engine.compile()
    return engine


def engine_config(section: Any, parameters: int, *, world: int, cuda: bool) -> dict[str, Any]:
    """DeepSpeed's configuration of a stage on ``world`` ranks."""
    bucket = min(MAX_BUCKET, parameters)
    divided = layout(section, world)
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": divided.micro_batch,
        "gradient_accumulation_steps": divided.accumulation,
        "gradient_clipping": section.clip,
        "bf16": {"enabled": section.precision == "bf16"},
        "zero_optimization": {
            "stage": section.zero_stage,
            # Reduce gradients while the backward pass goes on; only GPUs have the streams.
            "overlap_comm": cuda,
            "contiguous_gradients": True,
            "reduce_bucket_size": bucket,
            "allgather_bucket_size": bucket,
            **offload_config(section, pin=cuda),
        },
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1 << 60,
    }
    if section.precision == "bf16" and section.zero_stage >= 2 and divided.accumulation > 1:
        # A sum of many micro-batches in bf16 would lose the small ones. DeepSpeed has none of it
        # in stage 0, and in stage 1 another optimizer for it.
        config["data_types"] = {"grad_accum_dtype": "fp32"}
    return config


def _check_weights(model: Any, section: Distributed) -> None:
    """Refuse what cannot be trained."""
    if not any(p.requires_grad for p in model.parameters()):
        raise TrainingError("no weight of the model is trainable")
    quantised = any(hasattr(p, "quant_state") for p in model.parameters())
    if quantised and section.zero_stage == 3:
        raise TrainingError(
            "method qlora does not go with zero_stage 3, which would divide four-bit weights: "
            "take zero_stage 0, 1 or 2"
        )


def _check(engine: DeepSpeedEngine, section: Distributed) -> None:
    import deepspeed
    import torch.distributed as dist

    world = int(os.environ["WORLD_SIZE"])
    found = {
        "engine": isinstance(engine, deepspeed.DeepSpeedEngine),
        "ranks": dist.get_world_size() == world == engine.dp_world_size,
        "ZeRO stage": engine.zero_optimization_stage() == section.zero_stage,
        "precision": engine.bfloat16_enabled() == (section.precision == "bf16"),
    }
    wrong = [name for name, right in found.items() if not right]
    if wrong:
        raise TrainingError(f"DeepSpeed did not start as configured: {', '.join(wrong)} differ")
