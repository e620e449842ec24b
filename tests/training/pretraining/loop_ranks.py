"""Ranks of test_engine.py: the same few steps under every way of dividing and placing them.

torchrun --standalone --nproc_per_node=2 -m tests.training.pretraining.loop_ranks FOLDER
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist

from tagarela_dagster.training.adaptation.lora import load_parent
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.mixing.sampler import Sampler, open_sampler
from tagarela_dagster.training.models.model import build_model, load_tokenizer
from tagarela_dagster.training.pretraining.data import Batch, Batches
from tagarela_dagster.training.pretraining.engine import connect, sharded, start_engine
from tagarela_dagster.training.pretraining.loop import Loop
from tests.training.tiny_run import tiny_recipe

SPIKE = 4
"""Step, from 0, whose targets are noise."""
GUARDED = {"stability": {"skip_spikes": True, "window": 3, "sigma": 8.0}}
STEPS = 6
Case = dict[str, Any]
TWO_RANKS: dict[str, Case] = {
    **{f"zero {n}": {"zero_stage": n} for n in range(4)},
    **{f"zero {n} 1x2": {"zero_stage": n, "micro_batch": 1, "accumulation": 2} for n in range(4)},
    **{f"zero {n} bf16": {"zero_stage": n, "precision": "bf16"} for n in (0, 2, 3)},
    **{f"zero {n} skipping": {"zero_stage": n, **GUARDED} for n in range(4)},
    "zero 2 bf16 skipping": {"zero_stage": 2, "precision": "bf16", **GUARDED},
    "optimizer in host memory": {"zero_stage": 2, "offload": {"optimizer": "cpu"}},
    "all in host memory": {
        "zero_stage": 3,
        "offload": {"optimizer": "cpu", "parameters": "cpu"},
        "activation_checkpointing": True,
    },
    "ramp": {"zero_stage": 2, "ramp": {"start": 0.25, "steps": 4}},
    "ramp 1x2": {
        "zero_stage": 0,
        "micro_batch": 1,
        "accumulation": 2,
        "ramp": {"start": 0.25, "steps": 4},
    },
    **{f"gpt_neo zero {n}": {"zero_stage": n, "architecture": "gpt_neo"} for n in (0, 3)},
    **{f"lora zero {n}": {"zero_stage": n, "method": "lora"} for n in (0, 2, 3)},
    **{f"qlora zero {n}": {"zero_stage": n, "method": "qlora"} for n in (0, 2, 3)},
    "z-loss": {"zero_stage": 3, "z_loss": 0.01},
}
ONE_RANK: dict[str, Case] = {
    "one rank": {"zero_stage": 0},
    "one rank 1x4": {"zero_stage": 2, "micro_batch": 1, "accumulation": 2},
    "one rank ramp": {"zero_stage": 0, "ramp": {"start": 0.25, "steps": 4}},
}


class Spiked(Batches):
    """Batches with one step of noise."""

    def step(self, step: int) -> list[Batch]:
        """Targets of step SPIKE are other tokens."""
        found = super().step(step)
        if step != SPIKE:
            return found
        return [replace(batch, targets=(batch.targets * 7 + 3) % 300) for batch in found]


def digest(engine: Any) -> str:
    """Of all weights, and of this rank's master weights and optimizer state."""
    found = hashlib.sha256()
    for parameter in engine.module.parameters():
        with deepspeed.zero.GatheredParameters([parameter], enabled=hasattr(parameter, "ds_id")):
            found.update(parameter.detach().contiguous().view(torch.uint8).numpy().tobytes())
    for group in engine.basic_optimizer.param_groups:
        for parameter in group["params"]:
            found.update(parameter.detach().numpy().tobytes())
    for state in engine.basic_optimizer.state.values():
        for value in state.values():
            found.update(torch.as_tensor(value).numpy().tobytes())
    return found.hexdigest()


def train(folder: Path, sampler: Sampler, case: Case) -> dict[str, Any]:
    fields = dict(case)
    model = {"architecture": fields.pop("architecture", "llama")}
    method = fields.pop("method", "full")
    recipe = tiny_recipe(model, steps=STEPS, **fields)
    section = recipe.training.pretrain
    tokenizer = load_tokenizer(folder / "tokenizer")
    held = 0
    with sharded(section):
        if method == "full":
            made = build_model(recipe.training.model, tokenizer, 7, section.attention)
            held = max(p.numel() for p in made.parameters())
        else:
            made = load_parent(
                folder / "parent",
                method,
                section.precision,
                section.lora,
                zero_stage=section.zero_stage,
            )
    kept = {n: p.detach().clone() for n, p in made.named_parameters() if not p.requires_grad}
    engine = start_engine(made, section)
    kind = Spiked if section.stability.skip_spikes else Batches
    batches = kind(sampler, section, dist.get_rank(), dist.get_world_size())
    rows: list[dict[str, Any]] = []
    digests: list[str] = []

    def on_step(row: dict[str, Any]) -> None:
        rows.append(row)
        if section.stability.skip_spikes:
            digests.append(digest(engine))

    loop = Loop(engine, batches, section, [], on_step)
    loop.run()
    frozen = all(torch.equal(p, kept[n]) for n, p in made.named_parameters() if n in kept)
    consumed = {cell: count for cell, count in loop.tokens.items() if count}
    due = sampler.consumed(batches.sequences(STEPS - 1).stop)
    return {
        "rows": rows,
        "digests": digests,
        "held": held,
        "frozen": frozen,
        "account": consumed == due,
    }


def main(folder: Path) -> None:
    connect()
    sampler = open_sampler(folder / "mixture", folder / "lake")
    found: dict[str, Any] = {}
    rank = dist.get_rank()
    for name, case in (TWO_RANKS if dist.get_world_size() == 2 else ONE_RANK).items():
        try:
            found[name] = train(folder, sampler, case)
        except TrainingError as error:
            found[name] = {"error": str(error)}
    (folder / f"found-{os.environ['WORLD_SIZE']}-{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
