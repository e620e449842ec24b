"""Checkpoints: how long training waits for one, beside DeepSpeed's own save; two ranks, ZeRO-2.

    python -m benchmarks.checkpoints [--out FILE]

A Llama of 17 M parameters in fp32 takes the same steps three times: without a save, with a
background save every fourth step, and with DeepSpeed's ``save_checkpoint`` and an export by
``save_pretrained`` in its place. All must have the same losses. Rows: {name, value, unit, peer,
peer_value, ratio}.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.checkpointing.checkpoints import published
from tagarela_dagster.training.checkpointing.saver import Saver
from tagarela_dagster.training.launching.launch import launch, torchrun

STEPS, EVERY = 12, 4
SEQUENCES, CONTEXT, VOCABULARY = 2, 256, 8192
SECTION = Pretrain(precision="fp32", zero_stage=2, keep_checkpoints=1)
RANKS = 2

Save = Callable[[int], None]


def start() -> Any:
    """A new engine; the same weights each time."""
    import deepspeed
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
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


def rank(out: Path) -> None:
    """What one rank does; rank 0 writes what it measured to ``out``."""
    import torch.distributed as dist
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from tagarela_dagster.training.pretraining.engine import connect

    connect()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    found = {"none": train(start(), lambda step: None)}

    engine = start()
    with Saver(engine, tokenizer, out / "background", SECTION) as saver:
        found["background"] = train(engine, lambda step: saver.save({"step": step, "loss": 0.0}))

    peer = start()

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


def rows(found: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """What was measured, as rows."""
    step = statistics.median(found["none"]["steps"][1:])
    # The first save also allocates the memory that the others are copied into.
    first, *later = found["background"]["saves"]
    pause, other = statistics.median(later), statistics.median(found["peer"]["saves"])
    slowed = sum(found["background"]["steps"]) / sum(found["none"]["steps"])

    def row(name: str, value: float, unit: str, peer: str, peer_value: float) -> dict[str, Any]:
        ratio = round(value / peer_value, 4)
        numbers = {"value": round(value, 4), "unit": unit, "peer": peer}
        return {"name": name, **numbers, "peer_value": round(peer_value, 4), "ratio": ratio}

    return [
        row("checkpoint pause", pause, "s", "step without a save", step),
        row("checkpoint pause, first", first, "s", "step without a save", step),
        row("checkpoint pause", pause, "s", "DeepSpeed save_checkpoint + save_pretrained", other),
        row("steps while saving", slowed, "share of time", "steps without a save", 1.0),
    ]


def main() -> None:
    """Launch the ranks, compare the answers, print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the rows here too, as JSON")
    parser.add_argument("--rank", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rank:
        rank(given.rank)
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        command = torchrun("benchmarks.checkpoints", ["--rank", folder], RANKS)
        launch(command, run=out, processes=RANKS)
        found = json.loads((out / "found.json").read_text())
        if not found["none"]["losses"] == found["background"]["losses"] == found["peer"]["losses"]:
            sys.exit("a save changed the losses")
        published(out / "background")[-1].verify("state")
        measured = rows(found)
    for found_row in measured:
        print(json.dumps(found_row))
    if given.out:
        given.out.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
