"""Checkpoints of a run: published whole or not at all, resumed exactly.

    checkpoints/step-000050/
      model/         safetensors, config, generation config, tokenizer: any program can load it
      state/         DeepSpeed's shards of weights and optimizer, one set a rank
      manifest.json  written last

A folder without a manifest is what a killed save left; it is removed. ``state`` is kept for the
newest few checkpoints only. It is DeepSpeed's own format (pickles), so it is loaded only when
every file has the hash that the manifest says.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.provenance.files import atomic_write, replace_folder
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.manifest import MANIFEST_NAME
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMAT_VERSION = 1
CHECKPOINTS = "checkpoints"
MODEL, STATE = "model", "state"
PARTIAL = ".partial-"


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint: its folder and its manifest's content."""

    folder: Path
    record: dict[str, Any]

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.record["step"]

    @property
    def model(self) -> Path:
        """Model folder in Hugging Face layout."""
        return self.folder / MODEL

    @property
    def resumable(self) -> bool:
        """Whether the optimizer's state is still there."""
        return (self.folder / STATE).is_dir()

    def verify(self, part: str) -> None:
        """Compare every file below ``part`` with the manifest. Raises TrainingError."""
        for file in self.record["files"]:
            path = self.folder / file["path"]
            if not file["path"].startswith(f"{part}/"):
                continue
            if not path.is_file() or hash_file(path) != file["sha256"]:
                raise TrainingError(
                    f"{path} is missing or damaged: remove {self.folder} to go on from the "
                    "checkpoint before it"
                )


def published(run: Path) -> list[Checkpoint]:
    """Published checkpoints of a run, oldest first."""
    found = []
    for manifest in sorted((run / CHECKPOINTS).glob(f"*/{MANIFEST_NAME}")):
        record = json.loads(manifest.read_text(encoding="utf-8"))
        found.append(Checkpoint(manifest.parent, record))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def resumable_step(run: Path) -> int:
    """Step of the newest checkpoint that can be resumed; 0 without one."""
    return max((c.step for c in published(run) if c.resumable), default=0)


def newest(run: Path, world: int) -> Checkpoint | None:
    """Checkpoint to resume from; None to start at the beginning.

    Raises:
        TrainingError: it was written by another number of ranks.
    """
    found = [checkpoint for checkpoint in published(run) if checkpoint.resumable]
    if not found:
        return None
    last = found[-1]
    if last.record["world_size"] != world:
        raise TrainingError(
            f"{last.folder} was written by {last.record['world_size']} ranks and cannot be resumed "
            f"on {world}: DeepSpeed's shards are per rank. Start the same number of ranks, or "
            "convert the state to a universal checkpoint (deepspeed.checkpoint.ds_to_universal), "
            "which this release does not resume from yet"
        )
    return last


def remove_incomplete(run: Path) -> list[str]:
    """Remove what killed saves left; return the names of the folders."""
    removed = []
    for folder in sorted((run / CHECKPOINTS).glob("*")):
        if not (folder / MANIFEST_NAME).exists() or folder.name.startswith(PARTIAL):
            shutil.rmtree(folder)
            removed.append(folder.name)
    for folder in (run / CHECKPOINTS).glob(f"*/{PARTIAL}{STATE}"):
        shutil.rmtree(folder)
    return removed


def save(
    engine: Any,
    tokenizer: PreTrainedTokenizerBase,
    run: Path,
    record: dict[str, Any],
    *,
    keep: int,
) -> None:
    """Publish a checkpoint of step ``record["step"]``; every rank calls this.

    Args:
        record: what the manifest says beside the files; JSON values.
        keep: newest checkpoints that keep their state.
    """
    import torch.distributed as dist

    name = f"step-{record['step']:06d}"
    staged = run / CHECKPOINTS / f"{PARTIAL}{name}"
    first = dist.get_rank() == 0
    if first:
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
    dist.barrier()
    engine.save_checkpoint(str(staged / STATE), tag=name)
    export_model(engine, tokenizer, staged / MODEL)
    dist.barrier()
    if first:
        _publish(staged, run / CHECKPOINTS / name, record)
        _prune(run, keep)
    dist.barrier()


def publish_model(
    run: Path, name: str, write: Callable[[Path], Any], record: dict[str, Any]
) -> Checkpoint:
    """Publish a model that no loop trained (a merge, a pruned model) as checkpoint ``name``.

    Args:
        write: fills the model folder that it is given; the folder does not exist yet.
        record: what the manifest says beside the files; ``step`` at least.
    """
    staged = run / CHECKPOINTS / f"{PARTIAL}{name}"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    write(staged / MODEL)
    _publish(staged, run / CHECKPOINTS / name, record)
    return next(c for c in published(run) if c.folder.name == name)


def resume(engine: Any, checkpoint: Checkpoint) -> None:
    """Load weights and optimizer state; every rank calls this.

    Raises:
        TrainingError: a file is missing or damaged, or DeepSpeed refuses the state.
    """
    checkpoint.verify(STATE)
    folder = checkpoint.folder / STATE
    path, _ = engine.load_checkpoint(str(folder), tag=checkpoint.folder.name)
    if path is None:
        raise TrainingError(f"DeepSpeed found no state in {folder}: remove {checkpoint.folder}")


def export_model(engine: Any, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Write the model to ``out`` from rank 0; every rank calls this.

    Under ZeRO-3 each parameter is gathered in turn, so no rank but 0 holds the whole model.
    """
    import deepspeed
    import torch
    import torch.distributed as dist
    import transformers

    first = dist.get_rank() == 0
    weights: dict[str, torch.Tensor] = {}
    for name, parameter in engine.module.named_parameters():
        with deepspeed.zero.GatheredParameters([parameter], enabled=hasattr(parameter, "ds_id")):
            if first:
                weights[name] = parameter.detach().to("cpu", copy=True)
    if first:
        transformers.utils.logging.disable_progress_bar()
        engine.module.save_pretrained(out, state_dict=weights)
        tokenizer.save_pretrained(out)


def _publish(staged: Path, final: Path, record: dict[str, Any]) -> None:
    paths = sorted(p for p in staged.rglob("*") if p.is_file())
    files = [
        {
            "path": path.relative_to(staged).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": hash_file(path),
        }
        for path in paths
    ]
    replace_folder(staged, final)
    with atomic_write(final / MANIFEST_NAME) as file:
        json.dump({"format_version": FORMAT_VERSION, **record, "files": files}, file, indent=1)


def _prune(run: Path, keep: int) -> None:
    """Remove the state of all but the ``keep`` newest checkpoints."""
    resumable = [checkpoint for checkpoint in published(run) if checkpoint.resumable]
    for checkpoint in resumable[:-keep]:
        # Renamed first: a state that is half removed must not look resumable.
        doomed = checkpoint.folder / f"{PARTIAL}{STATE}"
        (checkpoint.folder / STATE).rename(doomed)
        shutil.rmtree(doomed)
