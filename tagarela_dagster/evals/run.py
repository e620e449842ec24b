"""Score a model folder in a process of its own.

``python -m tagarela_dagster.evals.run --model DIR --suite SUITE.json --out DIR``

The process holds torch and the model, and gives the memory back when it ends; it ends at once
when the process that started it is gone. ``--out`` appears whole, by a rename, or not at all.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
from pathlib import Path

from tagarela_dagster.evals.suite import Suite
from tagarela_dagster.provenance.files import replace_folder
from tagarela_dagster.provenance.parent import exit_with_parent


def main(arguments: list[str] | None = None) -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Score a model folder on a suite.")
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--suite", type=Path, required=True, help="suite file (evals/suite.py)")
    parser.add_argument("--out", type=Path, required=True, help="folder for scores and items")
    options = parser.parse_args(arguments)
    exit_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # Everything is local by now; nothing may wait for a network.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from tagarela_dagster.evals.score import score_suite

    suite = Suite.from_json(json.loads(options.suite.read_text(encoding="utf-8")))
    staged = options.out.with_name(f".{options.out.name}.partial")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        score_suite(options.model, suite, staged)
        replace_folder(staged, options.out)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


if __name__ == "__main__":
    main()
