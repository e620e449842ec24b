"""A rank that reports the bytes of all tensors it holds, under each ZeRO stage and precision.

torchrun --standalone --nproc_per_node=2 tests/training/cost/zero_ranks.py OUT
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import deepspeed
import torch
import torch.distributed as dist
from transformers import LlamaConfig, LlamaForCausalLM

from tagarela_dagster.training.pretraining.engine import connect

SHAPE = {
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}
BUCKET = 50_000


def held() -> int:
    """Bytes of all tensors of this process, each storage once."""
    gc.collect()
    tensors = [t for t in gc.get_objects() if isinstance(t, torch.Tensor)]
    tensors += [t.grad for t in tensors if t.is_leaf and t.grad is not None]
    storages = {}
    for tensor in tensors:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def measure(stage: int, precision: str) -> dict[str, int]:
    """Bytes with the gradients of a backward pass, and again after the step."""
    before = held()
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, use_cache=False))
    config = {
        "train_micro_batch_size_per_gpu": 1,
        "bf16": {"enabled": precision == "bf16"},
        "zero_optimization": {
            "stage": stage,
            "overlap_comm": False,
            "contiguous_gradients": True,
            "reduce_bucket_size": BUCKET,
            "allgather_bucket_size": BUCKET,
            "stage3_param_persistence_threshold": 0,
            "stage3_prefetch_bucket_size": 0,
            "stage3_max_live_parameters": 0,
        },
        "steps_per_print": 1 << 60,
    }
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
    tokens = torch.randint(0, 512, (1, 8))
    row = {}
    for step in range(2):
        loss = engine(input_ids=tokens).logits.float().logsumexp(-1).sum()
        engine.backward(loss)
        del loss
        if step:
            row["backward"] = held() - before
        engine.step()
    row["step"] = held() - before
    engine.destroy()
    del engine, optimizer, model
    return row


def main() -> None:
    """Measure all, and write rank 0's answers."""
    connect()
    cases = [(0, "fp32"), (2, "fp32"), *((stage, "bf16") for stage in (0, 1, 2, 3))]
    rows = {f"{precision} {stage}": measure(stage, precision) for stage, precision in cases}
    if dist.get_rank() == 0:
        Path(sys.argv[1]).write_text(json.dumps(rows), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
