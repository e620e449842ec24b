"""Asked to stop: a rank saves a checkpoint and ends, and the run goes on from it elsewhere.

Whoever minds the ranks of a node (supervisor, Slurm job, pod) creates a file when the machine is
wanted back: a time limit is near, the job is preempted, the pod is evicted. The loop asks after
each step, and since machines are told one by one, all ranks decide together:

    if preemption.all_stop(device):
        save(...)
        raise preemption.Stopped(f"step {step}")
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

STOP_VARIABLE = "TAGARELA_STOP_FILE"
"""File whose existence asks the ranks to save and stop."""
STOPPED_STATUS = 75
"""Exit status of a rank that has saved and stopped: EX_TEMPFAIL of sysexits.h, try again."""

_terminated = False
_listening = False


class Stopped(SystemExit):
    """The training has saved a checkpoint and ends because it was asked to; no failure.

    Args:
        saved: what was saved, as in "step 120".
    """

    def __init__(self, saved: str) -> None:
        super().__init__(STOPPED_STATUS)
        self.saved = saved

    def __str__(self) -> str:
        return f"the training was asked to stop, and saved {self.saved}: start it again to go on"


def asked_to_stop() -> bool:
    """Whether this rank has been asked to save and stop."""
    global _listening
    _listening = True
    path = os.environ.get(STOP_VARIABLE)
    return _terminated or bool(path and Path(path).exists())


def all_stop(device: Any) -> bool:
    """Whether any rank has been asked to; every rank calls this and gets the same answer."""
    import torch
    import torch.distributed as dist

    asked = torch.tensor(float(asked_to_stop()), device=device)
    dist.all_reduce(asked, op=dist.ReduceOp.MAX)
    return bool(asked.item())


def terminate_gently() -> None:
    """Take SIGTERM as a request to save, once the training listens; before that it ends at once.

    For ranks that Slurm or a pod's end signals directly, with time to save before SIGKILL.
    """
    signal.signal(signal.SIGTERM, _on_term)


def _on_term(number: int, frame: FrameType | None) -> None:
    global _terminated
    if not _listening:
        os._exit(128 + number)
    _terminated = True


def ask_to_stop(path: Path) -> None:
    """Create the file that asks the ranks to save and stop."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
