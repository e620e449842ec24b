"""Failures of a training, said in one sentence, carried from a rank to whoever launched it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tagarela_dagster.provenance.files import atomic_write

FAILURE_VARIABLE = "TAGARELA_FAILURE"
"""File that a rank writes its reason to."""


class TrainingError(RuntimeError):
    """A training cannot start or go on; the message says why and what to do."""


@contextmanager
def told() -> Iterator[None]:
    """Write the sentence of an expected error where the launcher finds it; the error goes on.

    Other errors are nobody's sentence: their traceback in the log says more.
    """
    try:
        yield
    except (TrainingError, ValueError, OSError) as error:
        path = os.environ.get(FAILURE_VARIABLE)
        if path and not Path(path).exists():
            with atomic_write(Path(path)) as file:
                json.dump({"reason": str(error)}, file, ensure_ascii=False)
        raise
