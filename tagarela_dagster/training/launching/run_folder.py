"""Run folder of a training: one owner, one configuration, and what it leaves behind.

config.json      what is trained; a folder never mixes two configurations
metrics.jsonl    a line per step (tracking/metrics.py)
checkpoints/     published checkpoints (checkpointing/checkpoints.py)
result.json      written last: the training is finished
log.txt          output of the ranks (log.py)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import fingerprint
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.fence import RunLock

__all__ = ["RunLock", "claim_run", "read_result", "write_result"]

CONFIG_NAME = "config.json"
RESULT_NAME = "result.json"


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
