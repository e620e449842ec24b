"""States: what a tuning goes on from, published whole or not at all.

    states/step-000010/    what the Hugging Face Trainer saved: DeepSpeed's shards of weights and
                           optimizer, scheduler, random numbers, trainer_state.json
      manifest.json        written last, with the hash of every file

The Trainer writes its checkpoint-N under its final name, and takes one that a kill left half
written for the newest. So it saves into a temporary folder, and a whole one is renamed here. A
state is loaded only when every file has its hash, for some of them are pickles.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write, replace_folder
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.manifest import MANIFEST_NAME
from tagarela_dagster.training.launching.failure import TrainingError

STATES = "states"
UNUSED = ("training_args.bin", "README.md")
"""Files of the Trainer that nothing reads; the first is a pickle."""
LAYOUT = ("world_size", "zero_stage")
"""A state's shards are read by the layout that wrote them only."""


@dataclass(frozen=True)
class State:
    """A published state: its folder and its manifest."""

    folder: Path
    record: dict[str, Any]

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.record["step"])

    def verify(self) -> None:
        """Compare every file with the manifest. Raises TrainingError."""
        for name, sha256 in self.record["files"].items():
            path = self.folder / name
            if not path.is_file() or hash_file(path) != sha256:
                raise TrainingError(
                    f"{path} is missing or damaged: remove {self.folder} to go on from the state "
                    "before it"
                )


def publish_state(saved: Path, run: Path, step: int, layout: dict[str, int], keep: int) -> State:
    """Make a folder that the Trainer has written whole a state of the run.

    Args:
        layout: what the state's shards depend on.
        keep: newest states that are kept.
    """
    for name in UNUSED:
        (saved / name).unlink(missing_ok=True)
    files = sorted(path for path in saved.rglob("*") if path.is_file())
    hashes = {path.relative_to(saved).as_posix(): hash_file(path) for path in files}
    final = run / STATES / f"step-{step:06d}"
    replace_folder(saved, final)
    with atomic_write(final / MANIFEST_NAME) as file:
        json.dump({"step": step, **layout, "files": hashes}, file, indent=1)
    for state in published_states(run)[:-keep]:
        # Without its manifest it is no state, however little of it is removed yet.
        (state.folder / MANIFEST_NAME).unlink()
        shutil.rmtree(state.folder)
    return published_states(run)[-1]


def published_states(run: Path) -> list[State]:
    """States of a run, oldest first."""
    manifests = sorted((run / STATES).glob(f"*/{MANIFEST_NAME}"))
    return [State(path.parent, json.loads(path.read_text(encoding="utf-8"))) for path in manifests]


def last_step(run: Path) -> int:
    """Step of the newest state; 0 without one."""
    return max((state.step for state in published_states(run)), default=0)


def newest_state(run: Path, layout: dict[str, int]) -> State | None:
    """The state to go on from, verified; None to start at the beginning.

    Raises:
        TrainingError: it is damaged, or belongs to another layout.
    """
    states = published_states(run)
    if not states:
        return None
    last = states[-1]
    for name in LAYOUT:
        if last.record[name] != layout[name]:
            raise TrainingError(
                f"{last.folder} was written with {name.replace('_', ' ')} {last.record[name]} and "
                f"cannot be read with {layout[name]}: DeepSpeed's shards are per rank and stage. "
                f"Set {'processes' if name == 'world_size' else name} to {last.record[name]} to go "
                f"on, or remove {run / STATES} to start again"
            )
    last.verify()
    return last


def remove_incomplete_states(run: Path) -> list[str]:
    """Remove what killed saves left; return the names of the folders. Rank 0 calls this."""
    removed = []
    for folder in sorted((run / STATES).glob("*")):
        if not (folder / MANIFEST_NAME).exists():
            shutil.rmtree(folder)
            removed.append(folder.name)
    return removed
