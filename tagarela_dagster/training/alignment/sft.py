"""Supervised fine-tuning: a pretrained model learns to converse, with TRL and a LoRA adapter.

    python -m tagarela_dagster.training.alignment.sft --recipe recipes/sample.yaml \
        --model DIR --data FILE --out RUN [--scale tiny]

leaves in RUN: ``adapter/`` (peft), ``merged/`` (a model folder like any other), ``metrics.jsonl``
(metrics.py), ``quarantine.jsonl`` and, written last, ``result.json``. It is short, so a run that
was stopped starts again from its first step; a finished one does nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.corpus.sources.discover import source_folder
from tagarela_dagster.provenance.files import atomic_write, replace_folder
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.recipe import Recipe, load_recipe
from tagarela_dagster.training.alignment.chat_template import TEMPLATE
from tagarela_dagster.training.alignment.conversations import prepare_conversations
from tagarela_dagster.training.launching import run_folder
from tagarela_dagster.training.launching.entry import launched, log_to_stdout, training_parser
from tagarela_dagster.training.launching.failure import TrainingError, told
from tagarela_dagster.training.launching.launch import launch
from tagarela_dagster.training.launching.processes import SUPERVISOR_VARIABLE, end_with_supervisor
from tagarela_dagster.training.tracking.metrics import rewind_metrics

MODULE = "tagarela_dagster.training.alignment.sft"
LOGIC_VERSION = "1"
RECIPE_NAME = "recipe.yaml"
WORK = ".work"
WEIGHTS = "model.safetensors*"
"""Files that identify a model: its weights, or the index of their shards."""


@dataclass(frozen=True)
class FineTuning:
    """One fine-tuning run.

    Attributes:
        model: pretrained model in Hugging Face layout, with its tokenizer.
        data: conversations (conversations.py); ``sample:NAME`` is the bundled set.
        out: run folder.
    """

    recipe: Recipe
    model: Path
    data: str
    out: Path

    @property
    def data_file(self) -> Path:
        """The file that ``data`` names."""
        return source_folder(self.data)

    def config(self) -> dict[str, Any]:
        """What decides the result; identity of the run folder. Raises TrainingError."""
        weights = sorted(self.model.glob(WEIGHTS))
        for path, found in ((self.model, weights), (self.data_file, self.data_file.is_file())):
            if not found:
                raise TrainingError(f"{path} holds no {'model' if path == self.model else 'data'}")
        return {
            **self.recipe.section("sft"),
            "model": [hash_file(path) for path in weights],
            "data": hash_file(self.data_file),
            "logic": LOGIC_VERSION,
        }


def fine_tune(run: FineTuning, on_poll: Callable[[], None] | None = None) -> dict[str, Any]:
    """Run to its end in a process of its own and return its result; imports no torch.

    Args:
        on_poll: called about every second while it runs; what it raises ends the run.

    Raises:
        TrainingError: the run folder belongs to another run, or training failed.
    """
    lock = run_folder.RunLock(run.out)
    try:
        lock.take()
        run_folder.claim_run(run.out, run.config())
        if run_folder.read_result(run.out) is None:
            rewind_metrics(run.out, 0)
    finally:
        lock.release()
    if run_folder.read_result(run.out) is None:
        recipe = run.out / RECIPE_NAME
        with atomic_write(recipe) as file:
            json.dump(run.recipe.as_json(), file, ensure_ascii=False, indent=1)
        arguments = [
            *("--recipe", str(recipe), "--scale", "full", "--model", str(run.model)),
            *("--data", run.data, "--out", str(run.out)),
        ]
        launch([sys.executable, "-m", MODULE, *arguments], run=run.out, on_poll=on_poll)
    result = run_folder.read_result(run.out)
    if result is None:
        raise TrainingError(f"the fine-tuning ended without a result: see {run.out}/log.txt")
    return result


def tune(run: FineTuning) -> None:
    """Fine-tune in this process."""
    lock = run_folder.RunLock(run.out)
    lock.take()
    try:
        run_folder.claim_run(run.out, run.config())
        if run_folder.read_result(run.out) is None:
            _tune(run)
    finally:
        lock.release()


def _tune(run: FineTuning) -> None:
    from tagarela_dagster.training.adaptation.lora import merge_adapter
    from tagarela_dagster.training.alignment.sft_trainer import train_adapter
    from tagarela_dagster.training.models.model import load_tokenizer, model_context

    section = run.recipe.training.sft
    rewind_metrics(run.out, 0)
    work = run.out / WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    tokenizer: Any = load_tokenizer(run.model)
    tokenizer.chat_template = TEMPLATE
    max_tokens = min(section.max_length, model_context(run.model))

    def tokens(messages: list[dict[str, str]]) -> list[int]:
        return tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)

    conversations = work / "conversations.jsonl"
    counts = prepare_conversations(
        run.data_file,
        conversations,
        run.out / "quarantine.jsonl",
        max_tokens,
        lambda messages: len(tokens(messages)),
    )
    summary = train_adapter(run, tokenizer, conversations, work, max_tokens)
    with conversations.open(encoding="utf-8") as file:
        probe = tokens(json.loads(file.readline())["messages"])
    difference = merge_adapter(run.model, work / "adapter", work / "merged", tokenizer, probe)
    for name in ("adapter", "merged"):
        replace_folder(work / name, run.out / name)
    shutil.rmtree(work)
    merge = {"merge_logit_difference": difference}
    run_folder.write_result(
        run.out, {**summary, **counts.as_json(), "max_tokens": max_tokens, **merge}
    )


def main(arguments: list[str] | None = None) -> int:
    """Entry point."""
    parser = training_parser(MODULE, __doc__)
    parser.add_argument("--model", type=Path, required=True, help="pretrained model folder")
    parser.add_argument("--data", help="conversations, JSONL (default: the recipe's)")
    given = parser.parse_args(arguments)
    log_to_stdout()
    supervised = SUPERVISOR_VARIABLE in os.environ
    if supervised:
        end_with_supervisor()
    with told():
        recipe = load_recipe(given.recipe, given.scale)
        data = given.data or recipe.training.sft.data
        run = FineTuning(recipe, given.model.resolve(), data, given.out.resolve())
        if supervised:
            tune(run)
            return 0
    return launched(lambda: fine_tune(run))


if __name__ == "__main__":
    sys.exit(main())
