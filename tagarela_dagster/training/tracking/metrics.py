"""metrics.jsonl: one line per step, there as soon as the step is done.

Fields: ``step`` (from 1), ``loss`` (nats per token, mean over all tokens of the step), ``tokens``
(consumed so far), ``seconds`` (trained so far, over all resumes), ``learning_rate``,
``gradient_norm`` (before clipping), ``tokens_per_second`` (this step), ``tokens_per_source``
(consumed so far); where a checkpoint is saved also ``tokens_per_cell`` (consumed so far, by the
cells of the mixture's plan: source, stratum and phase). What a step cost stands there too
(cost/report.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

METRICS_NAME = "metrics.jsonl"


class Metrics:
    """Appends to the metrics of a run."""

    def __init__(self, run: Path) -> None:
        self._file = (run / METRICS_NAME).open("a", encoding="utf-8")

    def write(self, row: dict[str, Any]) -> None:
        """Append one step's line."""
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Whole lines of a run's metrics, in order; empty before the first step."""
    return [row for row, _ in _lines(run)]


def rewind_metrics(run: Path, step: int) -> dict[str, Any] | None:
    """Remove lines after ``step``, which a resumed run trains again, and what is no whole line;
    return the last one left."""
    path = run / METRICS_NAME
    if not path.exists():
        return None
    kept, last = 0, None
    for row, size in _lines(run):
        if row["step"] > step:
            break
        kept += size
        last = row
    os.truncate(path, kept)
    return last


def _lines(run: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Each line and its length in bytes, up to the first that was torn: a kill leaves it without
    its end, a loss of power may leave bytes that were never written."""
    path = run / METRICS_NAME
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                row = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                return
            if not isinstance(row, dict) or "step" not in row:
                return
            yield row, len(line)


def loss_ends(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """``loss_first`` and ``loss_last`` of a run: means over its first and last tenth of steps,
    since one batch is easier than another."""
    part = max(1, len(rows) // 10)
    losses = [row["loss"] for row in rows]
    return {"loss_first": fmean(losses[:part]), "loss_last": fmean(losses[-part:])}
