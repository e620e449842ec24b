"""Failures of a training, said in one sentence, carried from a rank to whoever launched it."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.training.launching.preemption import Stopped

FAILURE_VARIABLE = "TAGARELA_FAILURE"
"""File that a rank writes its reason to."""


class TrainingError(RuntimeError):
    """A training cannot start or go on; the message says why and what to do."""


@contextmanager
def told() -> Iterator[None]:
    """Write the sentence of an expected error where the launcher finds it; the error goes on.

    Other errors are nobody's sentence: their traceback in the log says more. A rank that has
    saved and stopped because it was asked to (preemption.py) says so here too.
    """
    try:
        yield
    except (TrainingError, ValueError, OSError, Stopped) as error:
        path = os.environ.get(FAILURE_VARIABLE)
        if path and not Path(path).exists():
            said = {"reason": str(error), "stopped": isinstance(error, Stopped)}
            with atomic_write(Path(path)) as file:
                json.dump(said, file, ensure_ascii=False)
        raise


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNWRITTEN = re.compile(
    rf"os error ({'|'.join(map(str, _NO_ROOM))})\b|inline_container\.cc|iostream error"
)
"""What safetensors (Rust), and torch.save (caffe2/serialize/inline_container.cc), say of it."""


@contextmanager
def room_needed(folder: Path) -> Iterator[None]:
    """Say in a sentence that the disk is full, whichever library found it out.

    Raises:
        TrainingError: something below ``folder`` could not be written.
    """
    try:
        yield
    except (OSError, RuntimeError, _safetensor_error()) as error:
        full = isinstance(error, OSError) and error.errno in _NO_ROOM
        if isinstance(error, TrainingError) or not (full or _UNWRITTEN.search(str(error))):
            raise
        free = shutil.disk_usage(folder).free
        raise TrainingError(
            f"{folder} has no room for what is saved ({error}; {free} bytes are free): make room "
            "and start again; what was published before is good"
        ) from error


def _safetensor_error() -> type[Exception]:
    from safetensors import SafetensorError

    return SafetensorError


@dataclass(frozen=True)
class Outcome:
    """What the first rank that ended early said.

    Attributes:
        stopped: whether it had saved, because it was asked to stop.
    """

    reason: str
    stopped: bool


def read_outcome(path: Path) -> Outcome | None:
    """What a rank said; None when none said anything."""
    try:
        return Outcome(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
