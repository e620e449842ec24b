"""Follow a run folder while its training runs: new steps, new checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.manifest import MANIFEST_NAME

METRICS = "metrics.jsonl"
MAX_OBSERVATIONS = 60
"""Loss observations that one run puts on the page; Dagster keeps each for ever."""


@dataclass
class RunFollower:
    """Calls back for each new line of ``metrics.jsonl`` and each published checkpoint.

    Attributes:
        steps: planned steps, to space observations evenly.
        on_metrics: given one line's values, for about MAX_OBSERVATIONS lines of the run.
        on_checkpoint: given the folder of a checkpoint, once, in order.
    """

    run: Path
    steps: int
    on_metrics: Callable[[dict[str, Any]], None]
    on_checkpoint: Callable[[Path], None]
    _offset: int = 0
    _seen: set[str] = field(default_factory=set)

    def poll(self) -> None:
        """Look once."""
        self._poll_metrics()
        self._poll_checkpoints()

    def _poll_metrics(self) -> None:
        path = self.run / METRICS
        if not path.exists():
            return
        every = max(1, self.steps // MAX_OBSERVATIONS)
        with path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                values = json.loads(line)
                step = values["step"]
                if step == 1 or step % every == 0 or step == self.steps:
                    self.on_metrics(values)

    def _poll_checkpoints(self) -> None:
        for manifest in sorted(self.run.glob(f"checkpoints/*/{MANIFEST_NAME}")):
            folder = manifest.parent
            if folder.name not in self._seen:
                self._seen.add(folder.name)
                self.on_checkpoint(folder)


def loss_curve(run: Path, points: int = 60) -> list[tuple[int, float]]:
    """(step, loss) along a run, at most about ``points`` of them, the last one included."""
    rows = []
    with (run / METRICS).open(encoding="utf-8") as file:
        for line in file:
            values = json.loads(line)
            rows.append((values["step"], values["loss"]))
    every = max(1, len(rows) // points)
    return [row for i, row in enumerate(rows) if i % every == 0 or i == len(rows) - 1]
