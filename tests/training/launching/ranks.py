"""A training for the launcher's tests: gloo ranks that add up their numbers, step by step.

    python -m tests.training.launching.ranks RUN STEPS [SECONDS_A_STEP] [fail|lock]

It keeps what real trainings keep: the run folder's fence, a checkpoint (a file with the step), a
stop on request after which it goes on from there, a result. ``fail``: rank 1 raises at step 3.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tagarela_dagster.training.launching import preemption
from tagarela_dagster.training.launching.failure import TrainingError, told
from tagarela_dagster.training.launching.fence import RunLock, check_fence

MODULE = "tests.training.launching.ranks"


def train(run: Path, steps: int, seconds: float, fails: bool) -> None:
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    lock = RunLock(run)
    if rank == 0:
        lock.take(float(os.environ.get("WAIT", "20")))
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    checkpoint = run / "checkpoint"
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    sys.stdout.write(f"rank {rank} of {world} from step {step} on {node()}\n")
    while step < steps:
        total = torch.tensor(float(rank + 1))
        dist.all_reduce(total)
        step += 1
        if fails and rank == 1 and step == 3:
            raise TrainingError("the loss is nan: lower learning_rate")
        stop = preemption.all_stop("cpu")
        if rank == 0:
            with (run / "steps.jsonl").open("a") as file:
                file.write(json.dumps({"step": step, "sum": total.item()}) + "\n")
            if stop or step == steps:
                check_fence(run)
                checkpoint.write_text(str(step))
        if stop:
            dist.barrier()
            lock.release()
            raise preemption.Stopped(f"step {step}")
        time.sleep(seconds)
    if rank == 0:
        (run / "result.json").write_text(json.dumps({"steps": steps, "world": world}))
    dist.barrier()
    dist.destroy_process_group()
    lock.release()


def node() -> str:
    return os.environ.get("SLURMD_NODENAME", "this machine")


if __name__ == "__main__":
    folder, count, *more = sys.argv[1:]
    with told():
        train(Path(folder), int(count), float(more[0]) if more else 0.0, "fail" in more)
