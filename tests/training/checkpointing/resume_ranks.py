"""Ranks of test_resume.py: checkpoints written by two ranks, resumed by two and by one; faults.

torchrun --standalone --nproc_per_node=2 -m tests.training.checkpointing.resume_ranks OUT
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from tagarela_dagster.recipe.stage import Offload
from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.checkpointing.checkpoints import damaged, published
from tagarela_dagster.training.checkpointing.export import verify_export
from tagarela_dagster.training.checkpointing.resume import resume, resume_newest
from tagarela_dagster.training.checkpointing.saver import Saver
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import load_tokenizer
from tagarela_dagster.training.pretraining.engine import connect
from tagarela_dagster.training.pretraining.offload import offload_config
from tagarela_dagster.training.pretraining.optimizers import (
    attach,
    build_optimizer,
    set_learning_rates,
)
from tests.resources.full_disk import full_disk

SAVED, STEPS = 2, 4
SEQUENCES, CONTEXT = 4, 16
ADAPTER = {"method": "lora", "parent": "base"}
CASES: dict[str, dict[str, Any]] = {
    "fp32-0": {"zero_stage": 0},
    "fp32-1": {"zero_stage": 1},
    "fp32-2": {"zero_stage": 2},
    "fp32-3": {"zero_stage": 3},
    "bf16-0": {"zero_stage": 0, "precision": "bf16"},
    "bf16-1": {"zero_stage": 1, "precision": "bf16"},
    "bf16-3": {"zero_stage": 3, "precision": "bf16"},
    "muon-0": {"zero_stage": 0, "optimizer": "muon"},
    "muon-2": {"zero_stage": 2, "optimizer": "muon"},
    "muon-3": {"zero_stage": 3, "optimizer": "muon"},
    "offload-2": {"zero_stage": 2, "offload": {"optimizer": "cpu"}},
    "offload-3": {"zero_stage": 3, "offload": {"optimizer": "cpu", "parameters": "cpu"}},
    "lora-2": {"zero_stage": 2, **ADAPTER},
    "lora-3": {"zero_stage": 3, **ADAPTER},
    "dropout-2": {"zero_stage": 2, **ADAPTER},
}
"""Name -> settings; the name's first word says what is trained."""


def section_of(case: str, stage: int | None = None) -> Pretrain:
    settings = {"precision": "fp32", **CASES[case]}
    if stage not in (None, settings["zero_stage"]):
        settings |= {"zero_stage": stage, "offload": Offload()}
    return Pretrain(
        steps=STEPS, warmup_steps=1, learning_rate=1e-2, weight_decay=0.5, clip=0.5, **settings
    )


def start(case: str, section: Pretrain, vocabulary: int) -> Any:
    torch.manual_seed(3)
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            intermediate_size=88,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=256,
            tie_word_embeddings=case.startswith("fp32"),
            use_cache=False,
        )
    )
    if case.startswith(("lora", "dropout")):
        dropout = 0.2 if case.startswith("dropout") else 0.0
        config = LoraConfig(
            r=4, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        model = get_peft_model(model, config)
    optimizer = build_optimizer(model, section)
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=optimizer,
        config={
            "train_micro_batch_size_per_gpu": SEQUENCES // dist.get_world_size(),
            "gradient_clipping": section.clip,
            "bf16": {"enabled": section.precision == "bf16"},
            "zero_optimization": {
                "stage": section.zero_stage,
                **offload_config(section, pin=False),
            },
            "zero_force_ds_cpu_optimizer": False,
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 1 << 60,
        },
    )
    if section.zero_stage == 0:
        optimizer.state.clear()
    attach(engine)
    engine.train()
    return engine


def train(engine: Any, section: Pretrain, first: int, last: int, vocabulary: int) -> list[float]:
    """Loss of each step, over all ranks; the same sequences however many ranks there are."""
    each = SEQUENCES // dist.get_world_size()
    losses = []
    for step in range(first, last):
        draw = torch.Generator().manual_seed(step)
        begin = torch.randint(vocabulary, (SEQUENCES, 1), generator=draw)
        tokens = (begin + torch.arange(CONTEXT)) % vocabulary
        mine = tokens[dist.get_rank() * each :][:each]
        set_learning_rates(engine.optimizer, section, step)
        loss = engine(input_ids=mine, labels=mine, use_cache=False).loss
        engine.backward(loss)
        engine.step()
        total = loss.detach().double()
        dist.all_reduce(total)
        losses.append(total.item() / dist.get_world_size())
    return losses


def write(out: Path, tokenizer: Any, case: str) -> dict[str, Any]:
    """Train, save twice, go on while the saves are written; then resume from the first."""
    section, vocabulary = section_of(case), len(tokenizer)
    engine = start(case, section, vocabulary)
    losses, run = [], out / case
    with Saver(engine, tokenizer, run, section) as saver:
        for step in range(STEPS):
            losses += train(engine, section, step, step + 1, vocabulary)
            saver.check()
            if (step + 1) % SAVED == 0:
                saver.save({"step": step + 1, "loss": losses[-1]})
    found: dict[str, Any] = {"losses": losses}
    if not case.startswith(("lora", "dropout")):
        found["difference"] = verify_export(published(run)[-1], engine, tokenizer)
    engine.destroy()
    found["resumed"] = read(out, tokenizer, case, section.zero_stage)
    return found


def read(out: Path, tokenizer: Any, case: str, stage: int) -> list[float]:
    """Losses after the first checkpoint of a case, resumed at a stage on the ranks there are."""
    section, vocabulary = section_of(case, stage), len(tokenizer)
    engine = start(case, section, vocabulary)
    resume(engine, published(out / case)[0])
    losses = train(engine, section, SAVED, STEPS, vocabulary)
    engine.destroy()
    return losses


def refused(action: Any) -> str:
    """The sentence of the TrainingError that ``action`` ends in; empty if it does not."""
    try:
        action()
    except TrainingError as error:
        return str(error)
    return ""


def fill_the_disk(out: Path, tokenizer: Any, case: str) -> list[str]:
    """What each rank says when rank 1 has no room for its part of a checkpoint."""
    section = section_of(case)
    engine = start(case, section, len(tokenizer))
    train(engine, section, 0, 1, len(tokenizer))
    saver = Saver(engine, tokenizer, out / case, section)
    with full_disk(20_000 if dist.get_rank() == 1 else 1 << 30):
        saver.save({"step": 9, "loss": 1.0})
        said = refused(saver.wait)
    again = refused(saver.check)
    engine.destroy()
    every: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(every, said if said == again else f"{said} / {again}")
    return every


def damage(out: Path, tokenizer: Any, case: str) -> dict[str, Any]:
    """Resume a run whose newest checkpoint lost a bit, and then, of the other, a whole file."""
    section, run = section_of(case), out / case
    first, second = (checkpoint.folder / "state" for checkpoint in published(run))
    dist.barrier()
    if dist.get_rank() == 0:
        with (second / "rank-00001.safetensors").open("r+b") as file:
            file.seek(-5, os.SEEK_END)
            byte = file.read(1)[0]
            file.seek(-5, os.SEEK_END)
            file.write(bytes([byte ^ 1]))
    dist.barrier()
    engine = start(case, section, len(tokenizer))
    resumed = resume_newest(engine, run)
    found: dict[str, Any] = {
        "step": resumed and resumed.step,
        "damaged": damaged(run),
        "losses": train(engine, section, SAVED, STEPS, len(tokenizer)),
    }
    dist.barrier()
    if dist.get_rank() == 0:
        (first / "rank-00000.safetensors").unlink()
    dist.barrier()
    found["refused"] = refused(lambda: resume_newest(engine, run))
    engine.destroy()
    return found


def resume_another_model(out: Path, tokenizer: Any, case: str, other: str) -> str:
    """What is said when a run's state meets another model."""
    engine = start(other, section_of(other), len(tokenizer))
    said = refused(lambda: resume(engine, published(out / case)[0]))
    engine.destroy()
    return said


def die_while_saving(out: Path, tokenizer: Any, case: str) -> None:
    """SIGKILL when all of a checkpoint is written but its manifest."""

    def complete(staged: Path) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    section = section_of(case)
    engine = start(case, section, len(tokenizer))
    resume_newest(engine, out / case)
    with Saver(engine, tokenizer, out / case, section, complete) as saver:
        train(engine, section, STEPS, STEPS + 1, len(tokenizer))
        saver.save({"step": STEPS + 1, "loss": 1.0})


def main() -> None:
    out = Path(sys.argv[1])
    connect()
    tokenizer = load_tokenizer(out / "tokenizer")
    rank, world = dist.get_rank(), dist.get_world_size()
    found: dict[str, Any] = {}
    for case in CASES:
        other = (CASES[case]["zero_stage"] + 1) % 4
        if world == 2:
            found[case] = write(out, tokenizer, case)
            if case.startswith(("fp32", "muon", "offload")):
                found[case]["other"] = read(out, tokenizer, case, other)
        elif not case.startswith("dropout"):
            stages = {CASES[case]["zero_stage"], other}
            found[case] = {stage: read(out, tokenizer, case, stage) for stage in sorted(stages)}
    if world == 2:
        found["full disk"] = fill_the_disk(out, tokenizer, "bf16-0")
        found["damage"] = damage(out, tokenizer, "dropout-2")
        found["another model"] = resume_another_model(out, tokenizer, "fp32-1", "muon-2")
    if rank == 0:
        (out / f"ranks-{world}.json").write_text(json.dumps(found))
    dist.barrier()
    if world == 1:
        die_while_saving(out, tokenizer, "bf16-1")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
