"""A rank: what every backend starts, before the training's own code.

    python -m tagarela_dagster.training.launching.rank MODULE ARGUMENT…

runs MODULE as ``python -m`` would, in a process that ends with its supervisor, holds its devices,
and knows its place: torchrun says it in RANK and WORLD_SIZE, Slurm in variables of its own.
"""

from __future__ import annotations

import os
import runpy
import socket
import sys
from pathlib import Path

from tagarela_dagster.training.launching.devices import hold_devices
from tagarela_dagster.training.launching.environment import remove_stale_locks, training_environment
from tagarela_dagster.training.launching.preemption import terminate_gently
from tagarela_dagster.training.launching.processes import end_with_supervisor

MODULE = "tagarela_dagster.training.launching.rank"
GENTLE_VARIABLE = "TAGARELA_GENTLE_TERM"
"""Set where SIGTERM comes with time to save (Slurm)."""
_FROM_SLURM = {
    "RANK": "SLURM_PROCID",
    "LOCAL_RANK": "SLURM_LOCALID",
    "WORLD_SIZE": "SLURM_NTASKS",
}


def is_rank() -> bool:
    """Whether this process was started as a rank."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def _place_from_slurm() -> None:
    """torch's variables from Slurm's; ranks are divided evenly over nodes (settings.py)."""
    for name, slurm in _FROM_SLURM.items():
        os.environ[name] = os.environ[slurm]
    nodes = int(os.environ["SLURM_NNODES"])
    local = int(os.environ["WORLD_SIZE"]) // nodes
    os.environ["LOCAL_WORLD_SIZE"] = str(local)
    threads = os.environ.get("SLURM_CPUS_PER_TASK", "1")
    os.environ.setdefault("OMP_NUM_THREADS", threads)
    os.environ.update(training_environment(local))
    # Node names end the path: a lock on a shared file system says nothing of who holds it.
    extensions = Path(os.environ["TORCH_EXTENSIONS_DIR"]) / socket.gethostname()
    os.environ["TORCH_EXTENSIONS_DIR"] = str(extensions)
    if os.environ["LOCAL_RANK"] == "0":
        remove_stale_locks(extensions)


def main() -> None:
    """Entry point of a rank."""
    module, *arguments = sys.argv[1:]
    if not is_rank() and "SLURM_PROCID" in os.environ:
        _place_from_slurm()
    if GENTLE_VARIABLE in os.environ:
        terminate_gently()
    hold_devices()
    end_with_supervisor()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
