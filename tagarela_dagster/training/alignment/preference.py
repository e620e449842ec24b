"""Preference tuning: chosen answers become likelier than rejected ones (DPO, arXiv 2305.18290;
APO-zero, 2408.06266; IPO, 2310.12036), with TRL.

The reference is the parent: the model with its adapter off, or, when all weights are trained, its
likelihoods computed before the first step. Rows are padded, never packed: ``padding_free`` is
ignored by DPO (huggingface/trl #6972).

Leaves what sft.py does, and ``samples/``: answers to held-out prompts before and after.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.alignment import Preference
from tagarela_dagster.training.adaptation.lora import load_parent, lora_config
from tagarela_dagster.training.alignment.pairs import check_pair, part_of
from tagarela_dagster.training.alignment.parents import Parent, open_parent, publish_model
from tagarela_dagster.training.alignment.rows import screen
from tagarela_dagster.training.alignment.samples import SAMPLES, answers, compare, margins
from tagarela_dagster.training.alignment.tuning import (
    arguments,
    attention,
    fit,
    in_order,
    on_first,
    start_work,
    steps_of,
)

if TYPE_CHECKING:
    from tagarela_dagster.training.stage import StageRun

LOSSES = {"dpo": "sigmoid", "apo_zero": "apo_zero", "ipo": "ipo"}
"""The recipe's name -> TRL's."""


def train(run: StageRun) -> dict[str, Any]:
    """Tune; every rank calls this. Raises TrainingError."""
    section: Preference = run.section
    work = start_work(run)
    parent = open_parent(run)
    counts: dict[str, Any] = {}
    on_first(lambda: counts.update(prepare_pairs(run, parent, work)))
    trainer, steps, rows = _build_trainer(run, parent, work)
    summary = fit(trainer, run)
    folders, merge = publish_model(run, parent, trainer.model, work)
    del trainer
    held_out = read_held_out(work, section.samples)
    on_first(lambda: None)  # the model is written
    sides = (parent.folder, run.out / "model")
    said = [answers(side, [r["prompt"] for r in held_out], section.max_answer) for side in sides]
    likelier = [margins(side, held_out, parent.template.text) for side in sides]
    if not summary:
        return {}
    found = compare(held_out, said[0], said[1], (likelier[0], likelier[1]), run.out / SAMPLES)
    return {
        **summary,
        **counts,
        **found,
        "preferred_before": sum(m > 0 for m in likelier[0]) / len(held_out),
        "preferred_after": sum(m > 0 for m in likelier[1]) / len(held_out),
        "max_tokens": parent.max_tokens,
        "epochs": round(steps * section.step_sequences / rows, 3),
        **merge,
        "folders": {**folders, SAMPLES: SAMPLES},
    }


def prepare_pairs(run: StageRun, parent: Parent, work: Path) -> dict[str, Any]:
    """Check the pairs, and hold some out: ``train.jsonl`` and ``held_out.jsonl`` in ``work``.
    Raises TrainingError."""
    counts = screen(
        run.input("data"),
        {name: work / f"{name}.jsonl" for name in ("train", "held_out")},
        run.out / "quarantine.jsonl",
        lambda line: check_pair(
            line, parent.template.marks, parent.max_tokens, parent.count_tokens
        ),
        part_of(run.section.held_out),
    )
    return counts.as_json()


def read_held_out(work: Path, most: int) -> list[dict[str, Any]]:
    """Held-out rows, ``most`` at most and one a prompt, in the order of their hashes."""
    with (work / "held_out.jsonl").open(encoding="utf-8") as file:
        rows = {row["id"]: row for row in map(json.loads, file)}
    return [rows[name] for name in sorted(rows)[:most]]


def read_train(work: Path) -> Any:
    """Rows to train on, as a data set in memory-mapped files."""
    import datasets

    path = str(work / "train.jsonl")
    return datasets.Dataset.from_json(path, cache_dir=str(work / "cache")).remove_columns("id")


def _build_trainer(run: StageRun, parent: Parent, work: Path) -> tuple[Any, int, int]:
    from trl import DPOConfig, DPOTrainer

    section: Preference = run.section
    full = section.method == "full"
    model = load_parent(
        parent.folder,
        section.method,
        section.precision,
        section.lora,
        train=full,
        zero_stage=section.zero_stage,
        attention=attention(section, parent.folder),
        seed=run.recipe.seed,
    )
    on_first(lambda: read_train(work) and None)  # one rank writes the cache that all read
    rows = read_train(work)
    steps = steps_of(section, len(rows))
    settings = DPOConfig(
        **arguments(run, work, steps),
        loss_type=[LOSSES[section.loss]],
        beta=section.beta,
        max_length=parent.max_tokens,
        precompute_ref_log_probs=full,
        train_sampling_strategy="sequential",
    )
    import torch

    torch.manual_seed(run.recipe.seed)
    trainer = DPOTrainer(
        model=model,
        args=settings,
        train_dataset=in_order(rows, steps * section.step_sequences, run.recipe.seed),
        processing_class=parent.tokenizer,
        peft_config=None if full else lora_config(section.lora),
    )
    return trainer, steps, len(rows)
