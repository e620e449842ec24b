"""Saver: checkpoints written in the background, while training goes on.

Training waits only while each rank copies its share of the state into host memory (state.py). A
thread of each rank then writes it, hashes it, and leaves a mark beside it. When the marks of all
ranks are there, rank 0's thread writes the model from these files (export.py), publishes the
checkpoint (checkpoints.py) and removes the states that are not kept (retention.py). The threads
talk through files and never through the process group, which is the training's alone.

A save that fails (a full disk) ends the run with one sentence at its next step; nothing of it is
published, and the checkpoints before it are good.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.manifest import MANIFEST_NAME
from tagarela_dagster.recipe.stage import Distributed
from tagarela_dagster.training.checkpointing.checkpoints import (
    CHECKPOINTS,
    STATE,
    file_entry,
    publish,
    staging,
)
from tagarela_dagster.training.checkpointing.export import Exporter
from tagarela_dagster.training.checkpointing.partition import Partition
from tagarela_dagster.training.checkpointing.retention import prune
from tagarela_dagster.training.checkpointing.state import Snapshot, rank_file
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

MARKS = ".written-"
POLL_SECONDS = 0.02
DISK_RESERVE = 1 << 20
"""Bytes that a rank leaves free on the disk."""

Complete = Callable[[Path], None]


class Saver:
    """Saves checkpoints of an engine; every rank makes one and calls it at the same steps.

    Args:
        section: says which states are kept, and how an adapter is trained.
        complete: called on rank 0, in the background, with the folder of a checkpoint whose
            model or adapter is written, before it is published; may add files.
    """

    def __init__(
        self,
        engine: Any,
        tokenizer: PreTrainedTokenizerBase,
        run: Path,
        section: Distributed,
        complete: Complete | None = None,
    ) -> None:
        import torch.distributed as dist

        run.mkdir(parents=True, exist_ok=True)
        self.run = run
        self.section = section
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.pauses: list[float] = []
        """Seconds that each save kept training waiting."""
        self._stage = engine.zero_optimization_stage()
        self._snapshot = Snapshot(Partition(engine))
        self._exporter = Exporter(engine, tokenizer, section)
        self._complete = complete
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(self, record: dict[str, Any]) -> None:
        """Take the checkpoint of step ``record["step"]``; training may go on when this returns.

        Waits for the save before it, if that is not done.

        Args:
            record: what the manifest says beside the files; JSON values.

        Raises:
            TrainingError: the save before it failed, or the disk has no room for this one.
        """
        started = time.perf_counter()
        self.wait()
        self._snapshot.take()
        name = f"step-{record['step']:06d}"
        staged = staging(self.run, name)
        self._require_room(name)
        record = {**record, "world_size": self.world, "zero_stage": self._stage}
        # A daemon: when the rank ends, so does the save, and what it left is removed later.
        self._thread = threading.Thread(
            target=self._in_background,
            args=(name, staged, record),
            name=f"save-{name}",
            daemon=True,
        )
        self._thread.start()
        self.pauses.append(time.perf_counter() - started)

    def check(self) -> None:
        """Raise the TrainingError of a background save that failed; costs nothing otherwise."""
        if self._error is not None:
            raise self._error

    def wait(self) -> None:
        """Wait for the save that is under way. Raises TrainingError when it failed."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def close(self) -> None:
        """Wait for the last save. Raises TrainingError when it failed."""
        self.wait()

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.close()
        elif self._thread is not None:
            # The run ends for another reason; what it has saved by then is good.
            self._thread.join()

    def _in_background(self, name: str, staged: Path, record: dict[str, Any]) -> None:
        from safetensors import SafetensorError

        try:
            self._write(staged)
            if self.rank == 0:
                self._publish(name, staged, record)
            else:
                self._follow(name, staged)
        except (OSError, SafetensorError) as error:
            self._error = TrainingError(
                f"checkpoint {name} could not be written to {staged.parent}: {error}. Rank "
                f"{self.rank} has {_size(self._snapshot.bytes)} of state, and "
                f"{_size(_free(self.run))} are free; make room and start again: the run goes on "
                "from the checkpoint before it, which is good"
            )
        except Exception as error:  # what a rank is told, and what nobody expected
            self._error = error
        if self._error is not None:
            logger.error("the save of %s failed", name, exc_info=self._error)
            self._withdraw(staged)

    def _follow(self, name: str, staged: Path) -> None:
        """Wait until rank 0 has published the checkpoint: a rank that ends ends all ranks."""
        manifest = self.run / CHECKPOINTS / name / MANIFEST_NAME
        while staged.exists() or not manifest.exists():
            with suppress(FileNotFoundError):
                _require_written(staged / f"{MARKS}0")
            time.sleep(POLL_SECONDS)

    def _write(self, staged: Path) -> None:
        state = staged / STATE
        state.mkdir(parents=True, exist_ok=True)
        path = state / rank_file(self.rank)
        self._snapshot.write(path)
        with atomic_write(staged / f"{MARKS}{self.rank}") as file:
            json.dump({"entry": file_entry(staged, path)}, file)

    def _withdraw(self, staged: Path) -> None:
        """Give back the room of a save that failed, and tell rank 0 not to wait for it."""
        try:
            (staged / STATE / rank_file(self.rank)).unlink(missing_ok=True)
            with atomic_write(staged / f"{MARKS}{self.rank}") as file:
                json.dump({"error": str(self._error)}, file)
        except OSError:
            logger.exception("rank %d could not tell that its save failed", self.rank)

    def _publish(self, name: str, staged: Path, record: dict[str, Any]) -> None:
        marks = [staged / f"{MARKS}{rank}" for rank in range(self.world)]
        # Without a limit: the launcher ends all ranks when one of them is gone.
        while not all(mark.exists() for mark in marks):
            time.sleep(POLL_SECONDS)
        entries = [_require_written(mark) for mark in marks]
        self._exporter.write(staged / STATE, staged)
        if self._complete:
            self._complete(staged)
        for mark in marks:
            mark.unlink()
        publish(staged, self.run / CHECKPOINTS / name, record, entries)
        for step in prune(self.run, self.section):
            logger.info("the state of step %d is not kept", step)

    def _require_room(self, name: str) -> None:
        free, needed = _free(self.run), self._snapshot.bytes + DISK_RESERVE
        if free < needed:
            raise TrainingError(
                f"checkpoint {name} needs {_size(needed)} for rank {self.rank} alone in "
                f"{self.run / CHECKPOINTS}, where {_size(free)} are free: make room and start "
                "again; the run goes on from the checkpoint before it, which is good"
            )


def _require_written(mark: Path) -> dict[str, Any]:
    """Manifest's entry that a rank's mark holds. Raises TrainingError with what it tells instead,
    FileNotFoundError without a mark."""
    told = json.loads(mark.read_text(encoding="utf-8"))
    if "error" in told:
        raise TrainingError(told["error"])
    return told["entry"]


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _size(count: int) -> str:
    return f"{count / 1e9:.3f} GB ({count} bytes)"
