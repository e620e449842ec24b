"""Publish benchmarks and scores as partitions of the lake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagarela_dagster.evals.model import model_revision
from tagarela_dagster.evals.score import SCORES_NAME
from tagarela_dagster.evals.suite import Suite, build_suite, write_suite
from tagarela_dagster.provenance.files import replace_folder
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.evals import Evals

LOG_NAME = "evaluation.log"
LOG_TAIL = 3_000
"""Characters of a failed evaluation's log that the error shows."""


class EvaluationFailedError(RuntimeError):
    """An evaluation ended with an error; the message shows the end of its log."""


def publish_scores(
    writer: PartitionWriter,
    *,
    model: Path,
    section: Evals,
    benchmarks: Mapping[str, Path],
    held_out: Path,
    contamination: Path | None = None,
) -> Manifest:
    """Score a model on the recipe's suite, in a process of its own, and publish the scores.

    Args:
        model: model folder (a checkpoint's exported weights and tokenizer).
        benchmarks: task -> items file published by ``pin_benchmarks``.
        held_out: shard of held-out documents.
        contamination: folder of the corpus's report of contamination.

    Raises:
        EvaluationFailedError: the process ended with an error.
        ItemsError: a task has no items.
    """
    suite = build_suite(section, benchmarks, held_out, writer.staging / "items", contamination)
    rows = run_suite(model, suite, writer.staging)
    replace_folder(writer.staging / "scores", writer.data)
    files = sorted(p.relative_to(writer.data).as_posix() for p in writer.data.rglob("*.*"))
    shards = [Shard.of(writer.data, path, _rows_of(path, rows)) for path in files]
    counts = {"model": model_revision(model), "suite": suite.hash, "scores": len(rows)}
    return writer.publish(shards, counts)


def run_suite(model: Path, suite: Suite, folder: Path) -> list[dict[str, Any]]:
    """Run ``evals.run`` as a child that ends with this process; rows of its ``scores.json``.

    Args:
        folder: for ``suite.json``, ``scores/`` and ``evaluation.log``.

    Raises:
        EvaluationFailedError: the child ended with an error.
    """
    suite_file = folder / "suite.json"
    write_suite(suite, suite_file)
    out = folder / "scores"
    command = [sys.executable, "-m", "tagarela_dagster.evals.run"]
    command += ["--model", str(model), "--suite", str(suite_file), "--out", str(out)]
    log = folder / LOG_NAME
    with log.open("w", encoding="utf-8") as file:
        code = subprocess.run(command, stdout=file, stderr=file, check=False).returncode
    if code:
        tail = log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        raise EvaluationFailedError(f"the evaluation of {model} ended with code {code}:\n{tail}")
    return json.loads((out / SCORES_NAME).read_text(encoding="utf-8"))


def _rows_of(path: str, rows: list[dict[str, Any]]) -> int:
    """Rows that a published file stands for."""
    if path == SCORES_NAME:
        return len(rows)
    return max((row["items"] for row in rows if row["results"] == path), default=0)
