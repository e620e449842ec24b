"""Ranks of test_optimizers.py: the same few steps under every ZeRO stage.

torchrun --standalone --nproc_per_node=2 -m tests.training.pretraining.optimizer_ranks OUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from transformers import LlamaConfig, LlamaForCausalLM

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.checkpointing.checkpoints import STATE, Checkpoint
from tagarela_dagster.training.checkpointing.partition import Partition
from tagarela_dagster.training.checkpointing.resume import load_state
from tagarela_dagster.training.checkpointing.state import Snapshot, rank_file
from tagarela_dagster.training.pretraining.engine import connect
from tagarela_dagster.training.pretraining.optimizers import (
    attach,
    build_optimizer,
    set_learning_rates,
)

STEPS, SAVED = 6, 3
SETTINGS: dict[str, Any] = {
    "steps": STEPS,
    "warmup_steps": 2,
    "learning_rate": 3e-3,
    "clip": 0.5,
}


def small_model() -> LlamaForCausalLM:
    """Matrices of several shapes, an odd number of them, and a head of its own."""
    torch.manual_seed(3)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=88,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=False,
            use_cache=False,
        )
    )


def start(stage: int, section: Pretrain, *, offload: bool = False) -> Any:
    model = small_model()
    optimizer = build_optimizer(model, section)
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=optimizer,
        config={
            "train_micro_batch_size_per_gpu": 4,
            "gradient_clipping": section.clip,
            "bf16": {"enabled": section.precision == "bf16"},
            "zero_optimization": {
                "stage": stage,
                "offload_optimizer": {"device": "cpu" if offload else "none"},
            },
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
            "steps_per_print": 1 << 60,
        },
    )
    if stage == 0:
        optimizer.state.clear()
    attach(engine)
    return engine


def train(engine: Any, section: Pretrain, first: int, last: int) -> list[float]:
    losses = []
    for step in range(first, last):
        draw = torch.Generator().manual_seed(1000 * step + dist.get_rank())
        begin = torch.randint(64, (4, 1), generator=draw)
        tokens = (begin + torch.arange(16) * 3) % 64
        set_learning_rates(engine.optimizer, section, step)
        loss = engine(input_ids=tokens, labels=tokens).loss
        engine.backward(loss)
        engine.step()
        mean = loss.detach().double()
        dist.all_reduce(mean)
        losses.append(mean.item() / dist.get_world_size())
    return losses


def save(engine: Any, folder: Path) -> None:
    snapshot = Snapshot(Partition(engine))
    snapshot.take()
    state = folder / STATE
    state.mkdir(parents=True, exist_ok=True)
    snapshot.write(state / rank_file(dist.get_rank()))
    dist.barrier()


def resume(folder: Path, stage: int, section: Pretrain) -> list[float]:
    engine = start(stage, section)
    load_state(engine, Checkpoint(folder, {"world_size": dist.get_world_size()}))
    return train(engine, section, SAVED, STEPS)


def main(out: Path) -> None:
    connect()
    found: dict[str, list[float]] = {}
    section = Pretrain.model_validate({**SETTINGS, "optimizer": "muon", "precision": "fp32"})
    for stage in (0, 1, 2, 3):
        name, folder = f"zero{stage}", out / f"zero{stage}"
        engine = start(stage, section)
        losses = train(engine, section, 0, SAVED)
        save(engine, folder)
        found[name] = losses + train(engine, section, SAVED, STEPS)
        found[f"{name} resumed"] = resume(folder, stage, section)
    for stage in (2, 3):
        found[f"offloaded zero{stage}"] = train(
            start(stage, section, offload=True), section, 0, STEPS
        )
    found["zero2 resumed as zero3"] = resume(out / "zero2", 3, section)
    adamw = section.model_copy(update={"optimizer": "adamw"})
    found["adamw"] = train(start(0, adamw), adamw, 0, STEPS)
    bf16 = section.model_copy(update={"precision": "bf16"})
    for stage in (0, 2):
        found[f"bf16 zero{stage}"] = train(start(stage, bf16), bf16, 0, STEPS)
    if dist.get_rank() == 0:
        (out / "losses.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
