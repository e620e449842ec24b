"""Ranks of test_optimizers.py: the same few steps under every ZeRO stage.

torchrun --standalone --nproc_per_node=2 -m tests.training.pretraining.optimizer_ranks OUT
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from deepspeed.checkpoint import ds_to_universal
from transformers import LlamaConfig, LlamaForCausalLM

from tagarela_dagster.recipe.training import Pretrain
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


def start(stage: int, section: Pretrain, *, universal: bool = False) -> Any:
    model = small_model()
    optimizer = build_optimizer(model, section)
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=optimizer,
        config={
            "train_micro_batch_size_per_gpu": 4,
            "gradient_clipping": section.clip,
            "bf16": {"enabled": section.precision == "bf16"},
            "zero_optimization": {"stage": stage},
            "zero_allow_untested_optimizer": True,
            "checkpoint": {"load_universal": universal},
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


def resume(folder: Path, tag: str, stage: int, section: Pretrain) -> list[float]:
    engine = start(stage, section, universal=tag == "universal")
    engine.load_checkpoint(str(folder), tag=tag)
    attach(engine)
    return train(engine, section, SAVED, STEPS)


def make_universal(folder: Path) -> None:
    """As ``python -m deepspeed.checkpoint.ds_to_universal`` does, in this process."""
    if dist.get_rank() == 0:
        paths = {"input_folder": str(folder / "saved"), "output_folder": str(folder / "universal")}
        numbers = {"num_extract_workers": 1, "num_merge_workers": 1}
        flags = {"keep_temp_folder": False, "strict": True, "inject_missing_state": True}
        ds_to_universal.main(Namespace(**paths, **numbers, **flags))
    dist.barrier()


def main(out: Path) -> None:
    connect()
    found: dict[str, list[float]] = {}
    for optimizer, stages in (("adamw", (0, 3)), ("muon", (0, 1, 2, 3))):
        section = Pretrain.model_validate({**SETTINGS, "optimizer": optimizer, "precision": "fp32"})
        for stage in stages:
            name, folder = f"{optimizer} zero{stage}", out / f"{optimizer}{stage}"
            engine = start(stage, section)
            losses = train(engine, section, 0, SAVED)
            if stage >= 2:
                engine.save_checkpoint(str(folder), tag="saved")
            found[name] = losses + train(engine, section, SAVED, STEPS)
            if stage >= 2:
                make_universal(folder)
                found[f"{name} resumed"] = resume(folder, "saved", stage, section)
                found[f"{name} universal"] = resume(folder, "universal", stage, section)
    section = Pretrain.model_validate({**SETTINGS, "optimizer": "muon"})
    for stage in (0, 2):
        found[f"bf16 zero{stage}"] = train(start(stage, section), section, 0, STEPS)
    if dist.get_rank() == 0:
        (out / "losses.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
