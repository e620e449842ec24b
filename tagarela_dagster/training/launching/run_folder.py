"""Run folder of a training: one owner, one configuration, and what it leaves behind.

config.json      what is trained; a folder never mixes two configurations
metrics.jsonl    a line per step (metrics.py)
checkpoints/     published checkpoints (checkpoints.py)
result.json      written last: the training is finished
log.txt          output of the ranks (launch.py)
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import fingerprint
from tagarela_dagster.training.launching.failure import TrainingError

CONFIG_NAME = "config.json"
RESULT_NAME = "result.json"
LOCK_NAME = ".ranks.lock"
WAIT_SECONDS = 20.0
"""How long a predecessor that is being ended is waited for."""


class RunLock:
    """Right to write a run folder, held by every rank of one training.

    The kernel frees it when the last of them has died, however it died. Rank 0 takes it alone;
    once all ranks are connected it is shared with them.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / LOCK_NAME
        run.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def take(self, wait_seconds: float = WAIT_SECONDS) -> None:
        """Take it alone. Raises TrainingError when another training still holds it."""
        deadline = time.monotonic() + wait_seconds
        while not self._lock(fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise TrainingError(
                    f"{self.path.parent} is in use by another training: wait for it, or end it"
                )
            time.sleep(0.2)

    def share(self) -> None:
        """Hold it together with the other ranks. Raises TrainingError when it was taken away."""
        if not self._lock(fcntl.LOCK_SH):
            raise TrainingError(f"{self.path.parent} was taken over by another training")

    def release(self) -> None:
        """Give it up."""
        os.close(self._descriptor)

    def _lock(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def claim_run(run: Path, config: dict[str, Any]) -> str:
    """Make ``run`` the folder of a configuration, and return the configuration's fingerprint.

    Raises:
        TrainingError: the folder holds another configuration.
    """
    identity = fingerprint(config)
    path = run / CONFIG_NAME
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["fingerprint"] != identity:
            differ = sorted(k for k in config if config[k] != found["config"].get(k))
            raise TrainingError(
                f"{run} holds a training with other settings ({', '.join(differ)} differ): "
                "choose another --out, or remove that folder"
            )
        return identity
    with atomic_write(path) as file:
        json.dump({"fingerprint": identity, "config": config}, file, ensure_ascii=False, indent=1)
    return identity


def read_result(run: Path) -> dict[str, Any] | None:
    """What a finished training left; None while it is not finished."""
    try:
        return json.loads((run / RESULT_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def write_result(run: Path, result: dict[str, Any]) -> None:
    """Mark the training as finished."""
    with atomic_write(run / RESULT_NAME) as file:
        json.dump(result, file, ensure_ascii=False, indent=1)
