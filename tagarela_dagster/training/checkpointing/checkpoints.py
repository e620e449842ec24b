"""Checkpoints of a run: published whole or not at all, resumed exactly.

    checkpoints/step-000050/
      model/         safetensors, config, generation config, tokenizer: any program can load it
      adapter/       in place of model/ where an adapter is trained, unless both are written
      state/         fp32 weights and optimizer state, a safetensors file a rank (state.py)
      manifest.json  written last: what and when, and size and SHA-256 of every file

A folder without a manifest is what a killed save left; it is removed. One that is damaged and was
passed over is kept as ``.damaged-step-000050`` for whoever wants to know why. Which checkpoints
keep their state: retention.py. Written in the background: saver.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write, flush, replace_folder
from tagarela_dagster.provenance.fingerprint import fingerprint, hash_file
from tagarela_dagster.provenance.manifest import MANIFEST_NAME
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.fence import check_fence

FORMAT_VERSION = 2
"""1 had DeepSpeed's own shards as state."""
CHECKPOINTS = "checkpoints"
MODEL, ADAPTER, STATE = "model", "adapter", "state"
PARTIAL = ".partial-"
DAMAGED = ".damaged-"


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

    def damage(self, part: str, first: int = 0, every: int = 1) -> str | None:
        """The first file below ``part`` that is not as the manifest says, in words; None if whole.

        Args:
            first, every: look at files ``first``, ``first + every``, … only (ranks share the work).
        """
        files = [file for file in self.record["files"] if file["path"].startswith(f"{part}/")]
        for file in files[first::every]:
            path = self.folder / file["path"]
            if not path.is_file():
                return f"{path} is missing"
            if path.stat().st_size != file["bytes"] or hash_file(path) != file["sha256"]:
                return f"{path} is damaged (its SHA-256 is not the manifest's)"
        return None

    def verify(self, part: str) -> None:
        """Compare every file below ``part`` with the manifest. Raises TrainingError."""
        reason = self.damage(part)
        if reason:
            raise TrainingError(f"{reason}: remove {self.folder}, the ones before it are good")


def published(run: Path) -> list[Checkpoint]:
    """Published checkpoints of a run, oldest first.

    Raises:
        TrainingError: a manifest is damaged or of a release that is not known here.
    """
    folders = sorted(path.parent for path in (run / CHECKPOINTS).glob(f"[!.]*/{MANIFEST_NAME}"))
    return sorted(
        (read_checkpoint(folder) for folder in folders), key=lambda checkpoint: checkpoint.step
    )


def read_checkpoint(folder: Path) -> Checkpoint:
    """A published checkpoint. Raises TrainingError when its manifest is damaged or unknown."""
    path = folder / MANIFEST_NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        version = record.get("format_version", 1)
    except (ValueError, AttributeError) as error:
        raise TrainingError(f"{path} is damaged ({error}): remove {folder}") from error
    if version not in (1, FORMAT_VERSION):
        raise TrainingError(
            f"{folder} has format {version!r}, this release reads 1 and {FORMAT_VERSION}: it was "
            "written by a newer release, use that one"
        )
    expected = record.pop("fingerprint", None)
    if version > 1 and expected != fingerprint(record):
        raise TrainingError(
            f"{path} is damaged (its content is not what its fingerprint says): remove {folder} "
            "to go on from the checkpoint before it"
        )
    return Checkpoint(folder, {**record, "format_version": version})


def resumable(run: Path) -> list[Checkpoint]:
    """Checkpoints that a run can go on from, oldest first.

    Raises:
        TrainingError: the newest has a state in a format that is not read any more.
    """
    found = [checkpoint for checkpoint in published(run) if checkpoint.resumable]
    if found and found[-1].record["format_version"] != FORMAT_VERSION:
        raise TrainingError(
            f"{found[-1].folder} was written by an earlier release, as DeepSpeed's own shards, and "
            "cannot be resumed: finish the run with that release, or give its model to a new run "
            f"as its base ({found[-1].model})"
        )
    return [c for c in found if c.record["format_version"] == FORMAT_VERSION]


def newest(run: Path) -> Checkpoint | None:
    """Newest checkpoint that can be resumed; None to start at the beginning."""
    return next(reversed(resumable(run)), None)


def resumable_step(run: Path) -> int:
    """Step of the newest checkpoint that can be resumed; 0 without one."""
    return max((c.step for c in published(run) if c.resumable), default=0)


def damaged(run: Path) -> list[str]:
    """Names of the checkpoints that were set aside."""
    found = (run / CHECKPOINTS).glob(f"{DAMAGED}*")
    return sorted(folder.name.removeprefix(DAMAGED) for folder in found)


def set_aside(checkpoint: Checkpoint) -> Path:
    """Rename a damaged checkpoint and its manifest so that nobody uses it; return its new place."""
    place = checkpoint.folder.with_name(f"{DAMAGED}{checkpoint.folder.name}")
    manifest = checkpoint.folder / MANIFEST_NAME
    manifest.rename(manifest.with_name(f"{DAMAGED}{MANIFEST_NAME}"))
    replace_folder(checkpoint.folder, place)
    return place


def remove_incomplete(run: Path) -> list[str]:
    """Remove what killed saves left; return the names of the folders."""
    removed = []
    for folder in sorted((run / CHECKPOINTS).glob("*")):
        if folder.name.startswith(DAMAGED):
            continue
        if not (folder / MANIFEST_NAME).exists() or folder.name.startswith(PARTIAL):
            shutil.rmtree(folder)
            removed.append(folder.name)
    for folder in (run / CHECKPOINTS).glob(f"*/{PARTIAL}{STATE}"):
        shutil.rmtree(folder)
    return removed


def publish_model(
    run: Path, name: str, write: Callable[[Path], Any], record: dict[str, Any]
) -> Checkpoint:
    """Publish a model that no loop trained (a merge, a pruned model) as checkpoint ``name``.

    Args:
        write: fills the model folder that it is given; the folder does not exist yet.
        record: what the manifest says beside the files; ``step`` at least.
    """
    staged = staging(run, name)
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    write(staged / MODEL)
    return publish(staged, run / CHECKPOINTS / name, record)


def staging(run: Path, name: str) -> Path:
    """Folder in which checkpoint ``name`` is written."""
    return run / CHECKPOINTS / f"{PARTIAL}{name}"


def file_entry(folder: Path, path: Path) -> dict[str, Any]:
    """Manifest's entry of a file below ``folder``, which is on disk when this returns."""
    flush(path)
    size = path.stat().st_size
    return {"path": path.relative_to(folder).as_posix(), "bytes": size, "sha256": hash_file(path)}


def publish(
    staged: Path, final: Path, record: dict[str, Any], known: list[dict[str, Any]] | None = None
) -> Checkpoint:
    """Publish a folder that is written: rename it, then write its manifest.

    Args:
        known: entries of the files that were hashed already.
    """
    known = known or []
    paths = {entry["path"] for entry in known}
    rest = (p for p in sorted(staged.rglob("*")) if p.is_file())
    new = [file_entry(staged, p) for p in rest if p.relative_to(staged).as_posix() not in paths]
    files = sorted([*known, *new], key=lambda entry: entry["path"])
    content = {"format_version": FORMAT_VERSION, **record, "files": files}
    check_fence(final.parents[1])
    (final / MANIFEST_NAME).unlink(missing_ok=True)  # what is half replaced must not look whole
    replace_folder(staged, final)
    with atomic_write(final / MANIFEST_NAME) as file:
        json.dump({**content, "fingerprint": fingerprint(content)}, file, indent=1)
    return Checkpoint(final, content)
