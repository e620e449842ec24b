"""Retention: which checkpoints keep the state that a run can go on from.

Exported weights stay for all. The state, six to eight times as large in bf16, stays for the
newest few, for the best, and at token marks, as the recipe says (recipe/stage.py).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tagarela_dagster.recipe.stage import Distributed
from tagarela_dagster.training.checkpointing.checkpoints import (
    PARTIAL,
    STATE,
    Checkpoint,
    published,
)


def kept(checkpoints: list[Checkpoint], section: Distributed) -> set[int]:
    """Steps whose state stays, of ``checkpoints`` oldest first.

    The best are those of the lowest loss of their own step. A token mark belongs to the first
    checkpoint at or after it.
    """
    steps = {c.step for c in checkpoints[-section.keep_checkpoints :]}
    scored = [c for c in checkpoints if c.record.get("loss") is not None]
    best = sorted(scored, key=lambda c: (c.record["loss"], c.step))[: section.keep_best]
    steps |= {c.step for c in best}
    if section.keep_every_tokens:
        marks = 0
        for checkpoint in checkpoints:
            reached = checkpoint.record.get("tokens", 0) // section.keep_every_tokens
            if reached > marks:
                steps.add(checkpoint.step)
            marks = reached
    return steps


def prune(run: Path, section: Distributed) -> list[int]:
    """Remove the states that the recipe does not keep; return their steps."""
    checkpoints = published(run)
    stay = kept(checkpoints, section)
    gone = [c for c in checkpoints if c.resumable and c.step not in stay]
    for checkpoint in gone:
        # Renamed first: a state that is half removed must not look resumable.
        doomed = checkpoint.folder / f"{PARTIAL}{STATE}"
        (checkpoint.folder / STATE).rename(doomed)
        shutil.rmtree(doomed)
    return [c.step for c in gone]
