"""Checkpoints: how long training waits for one, beside DeepSpeed's own save; two ranks, ZeRO-2.

A Llama of 17 M parameters in fp32 takes the same steps three times: without a save, with a
background save every fourth step, and with DeepSpeed's ``save_checkpoint`` and an export by
``save_pretrained`` in its place. All must have the same losses.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.checkpointing.checkpoints import published
from tagarela_dagster.training.checkpointing.saver import Saver
from tagarela_dagster.training.launching.launch import launch, torchrun

STEPS, EVERY = 12, 4
SEQUENCES, CONTEXT, VOCABULARY = 2, 256, 8192
SIZES = {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6}
QUICK = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2}
SECTION = Pretrain(precision="fp32", zero_stage=2, keep_checkpoints=1)
RANKS = 2

Save = Callable[[int], None]


def start(sizes: dict[str, int]) -> Any:
    """A new engine; the same weights each time."""
    import deepspeed
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        **sizes,
        num_attention_heads=6,
        max_position_embeddings=CONTEXT,
        use_cache=False,
    )
    model = LlamaForCausalLM(config)
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True),
        config={
            "train_micro_batch_size_per_gpu": SEQUENCES,
            "zero_optimization": {"stage": SECTION.zero_stage},
            "steps_per_print": 1 << 60,
        },
    )
    engine.train()
    return engine


def train(engine: Any, save: Save) -> dict[str, list[float]]:
    """Losses, seconds of every step and seconds that every save takes."""
    import torch
    import torch.distributed as dist

    found: dict[str, list[float]] = {"losses": [], "steps": [], "saves": []}
    for step in range(1, STEPS + 1):
        draw = torch.Generator().manual_seed(step * RANKS + dist.get_rank())
        tokens = torch.randint(VOCABULARY, (SEQUENCES, CONTEXT), generator=draw)
        started = time.perf_counter()
        loss = engine(input_ids=tokens, labels=tokens).loss
        engine.backward(loss)
        engine.step()
        found["losses"].append(loss.item())
        trained = time.perf_counter()
        found["steps"].append(trained - started)
        if step % EVERY == 0:
            save(step)
            found["saves"].append(time.perf_counter() - trained)
    return found


def rank(out: Path, sizes: dict[str, int]) -> None:
    """What one rank does; rank 0 writes what it measured to ``out``."""
    import torch.distributed as dist
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from tagarela_dagster.training.pretraining.engine import connect

    connect()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    found = {"none": train(start(sizes), lambda step: None)}

    engine = start(sizes)
    with Saver(engine, tokenizer, out / "background", SECTION) as saver:
        found["background"] = train(engine, lambda step: saver.save({"step": step, "loss": 0.0}))

    peer = start(sizes)

    def save(step: int) -> None:
        folder = out / "peer" / f"step-{step}"
        peer.save_checkpoint(str(folder / "state"), tag="state")
        if dist.get_rank() == 0:
            peer.module.save_pretrained(folder / "model")
        dist.barrier()

    found["peer"] = train(peer, save)
    if dist.get_rank() == 0:
        (out / "found.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


def rows(quick: bool) -> Iterator[Row]:
    """Rows of this family."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        arguments = ["--rank", folder, *(["--quick"] if quick else [])]
        command = torchrun("benchmarks.training.checkpoints", arguments, RANKS)
        launch(command, run=out, processes=RANKS, environment={"OMP_NUM_THREADS": "1"})
        found = json.loads((out / "found.json").read_text())
        published(out / "background")[-1].verify("state")
    losses = found["none"]["losses"]
    step = statistics.median(found["none"]["steps"][1:])
    # The first save also allocates the memory that the others are copied into.
    first, *later = found["background"]["saves"]
    pause, other = statistics.median(later), statistics.median(found["peer"]["saves"])
    slowed = sum(found["background"]["steps"]) / sum(found["none"]["steps"])

    def row(name: str, value: float, peer: str, peer_value: float, **more: Any) -> Row:
        agreement = sum(
            a == b for a, b in zip(losses, found["background"]["losses"], strict=True)
        ) / len(losses)
        ratio = peer_value / value
        return Row(name, value, "s", peer, peer_value, ratio, agreement, note="the clock", **more)

    yield row("checkpoint, pause", pause, "step without a save", step, target=1)
    yield row("checkpoint, pause of the first", first, "step without a save", step)
    peer = "save_checkpoint of DeepSpeed + save_pretrained"
    yield row("checkpoint, pause", pause, peer, other)
    yield Row(
        "checkpoint, steps while saving",
        slowed,
        "x a step without a save",
        note="the clock; writing and hashing take processor time beside the training",
    )


def main() -> None:
    """A rank."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rank", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    rank(given.rank, QUICK if given.quick else SIZES)


if __name__ == "__main__":
    main()
