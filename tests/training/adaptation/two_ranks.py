"""One rank of a DeepSpeed training of an adapter, started by torchrun: what test_lora.py runs.

torchrun … -m tests.training.adaptation.two_ranks MODEL METHOD ZERO_STAGE OUT
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

STEPS = 8


def main(model: Path, method: str, zero_stage: int, out: Path) -> None:
    """Train on one sentence a rank, write losses and the adapter from rank 0."""
    os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed
    import torch
    import torch.distributed as dist

    from tagarela_dagster.recipe.stage import Lora
    from tagarela_dagster.training.adaptation.lora import load_parent, save_adapter
    from tagarela_dagster.training.models.model import load_tokenizer
    from tests.training.tiny_run import TEXTS

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend="gloo")
    rank, lora = dist.get_rank(), Lora(rank=4)
    network = load_parent(model, method, "fp32", lora, zero_stage=zero_stage)
    before = {n: p.detach().clone() for n, p in network.named_parameters() if not p.requires_grad}
    engine, *_ = deepspeed.initialize(
        model=network,
        optimizer=torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-2),
        config={
            "train_micro_batch_size_per_gpu": 1,
            "zero_optimization": {"stage": zero_stage},
            "steps_per_print": 1 << 60,
        },
    )
    ids = torch.tensor([load_tokenizer(model)(TEXTS[rank])["input_ids"]])
    losses = []
    for _ in range(STEPS):
        loss = engine(input_ids=ids, labels=ids, use_cache=False).loss
        engine.backward(loss)
        engine.step()
        losses.append(loss.item())
    after = dict(engine.module.named_parameters())
    changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
    own = torch.stack([p.detach().sum() for p in after.values() if p.requires_grad]).sum()
    others = [torch.zeros(()) for _ in range(dist.get_world_size())]
    dist.all_gather(others, own)
    if rank == 0:
        save_adapter(engine.module, out, method=method, precision="fp32", lora=lora)
        told = {"losses": losses, "changed": changed, "sums": [float(s) for s in others]}
        told["world"] = dist.get_world_size()
        (out / "told.json").write_text(json.dumps(told))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
