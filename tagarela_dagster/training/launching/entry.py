"""What the commands of a training share: their options, their log, how they end."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tagarela_dagster.training.launching.failure import TrainingError

logger = logging.getLogger(__name__)


def training_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Parser of ``python -m module`` with the options that every training has."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--recipe", type=Path, help="recipe file (default: recipes/sample.yaml)")
    parser.add_argument("--scale", choices=("full", "tiny"), help="shrink the recipe")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    return parser


def log_to_stdout() -> None:
    """Log lines with their time; the launcher keeps them in the run's log.txt."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)


def launched(train: Callable[[], dict[str, Any]]) -> int:
    """Exit status of a launcher: logs the result, or the sentence of a TrainingError."""
    try:
        result = train()
    except TrainingError as error:
        logger.error("%s", error)
        return 1
    logger.info("%s", json.dumps(result))
    return 0
