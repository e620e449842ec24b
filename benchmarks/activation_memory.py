"""Predicted against measured memory of a forward and backward pass on a CPU: growth of the
resident set, by architecture, precision and activation checkpointing.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/activation_memory.py

Each case is a process of its own. Prints {case, parameters, predicted_mb, measured_mb, ratio}.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

SEQUENCES, CONTEXT = 8, 512
CASES = list(itertools.product(("llama", "gpt_neo"), ("fp32", "bf16"), ("kept", "checkpointed")))


def build(architecture: str) -> Any:
    """A model of 34 to 40 M parameters."""
    from transformers import GPTNeoConfig, GPTNeoForCausalLM, LlamaConfig, LlamaForCausalLM

    shared = {"vocab_size": 16_000, "hidden_size": 512, "max_position_embeddings": CONTEXT}
    if architecture == "llama":
        heads = {"num_attention_heads": 8, "num_key_value_heads": 4}
        config = LlamaConfig(**shared, **heads, intermediate_size=1408, num_hidden_layers=8)
        return LlamaForCausalLM(config)
    dropouts = {"resid_dropout": 0, "embed_dropout": 0, "attention_dropout": 0}
    types = [[["global", "local"], 4]]
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return GPTNeoForCausalLM(
        GPTNeoConfig(**shared, **dropouts, **ends, num_layers=8, num_heads=8, attention_types=types)
    )


def resident() -> int:
    """Bytes of the resident set."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(architecture: str, precision: str, mode: str) -> dict[str, Any]:
    """One case, in this process."""
    import torch

    from tagarela_dagster.training.cost import activations
    from tagarela_dagster.training.cost.shape import config_shape
    from tagarela_dagster.training.pretraining.data import Batch
    from tagarela_dagster.training.pretraining.losses import CHUNK, NextToken

    dtype, width = {"fp32": (torch.float32, 4), "bf16": (torch.bfloat16, 2)}[precision]
    model = build(architecture).to(dtype).train()
    shape = config_shape(model.config.to_dict())
    if mode == "checkpointed":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    loss = NextToken(model)

    def step(sequences: int, context: int) -> None:
        tokens = torch.randint(0, 16_000, (sequences, context))
        positions = torch.arange(context).expand(sequences, context)
        loss(model, Batch(tokens, positions, tokens[:, 1:], ["x"] * sequences))[0].backward()

    step(1, 32)  # gradients exist from here on
    gc.collect()
    before, peak, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, resident())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    step(SEQUENCES, CONTEXT)
    done.set()
    watcher.join()
    tokens = SEQUENCES * CONTEXT
    predicted = tokens * activations.whole(
        shape, CONTEXT, width, fused=shape.gated, checkpointing=mode == "checkpointed"
    ) + activations.loss(shape, tokens, width, CHUNK)
    return {
        "case": f"{architecture} {precision} {mode}",
        "parameters": shape.parameters,
        "predicted_mb": round(predicted / 1e6),
        "measured_mb": round((peak - before) / 1e6),
        "ratio": round(predicted / (peak - before), 3),
    }


def main() -> None:
    """All cases, or the one that is named."""
    if len(sys.argv) == 4:
        print(json.dumps(measure(*sys.argv[1:])))
        return
    # Freed memory goes back to the system at once, so that the resident set follows tensors.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    for case in CASES:
        subprocess.run([sys.executable, __file__, *case], check=True, env=environment)


if __name__ == "__main__":
    main()
