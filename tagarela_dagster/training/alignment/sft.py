"""Supervised fine-tuning: a language model learns to converse, with TRL.

The loss is on what the assistant says alone. Labels are made here, token by token, before TRL sees
a row: its own masks got lost in packing (huggingface/trl #3728). Packed conversations don't see
each other: positions restart with each, and no attention mask is made.

Leaves ``model/`` (merged, or all weights), ``adapter/``, ``metrics.jsonl``, ``quarantine.jsonl``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.alignment import Sft
from tagarela_dagster.training.alignment.chat_template import encode
from tagarela_dagster.training.alignment.conversations import prepare_conversations
from tagarela_dagster.training.alignment.parents import (
    Parent,
    load_for_tuning,
    open_parent,
    publish_model,
    with_new_tokens,
)
from tagarela_dagster.training.alignment.tuning import (
    arguments,
    fit,
    in_order,
    on_first,
    start_work,
    steps_of,
)

if TYPE_CHECKING:
    from datasets import Dataset

    from tagarela_dagster.training.stage import StageRun


def train(run: StageRun) -> dict[str, Any]:
    """Fine-tune; every rank calls this. Raises TrainingError."""
    section: Sft = run.section
    work = start_work(run)
    parent = with_new_tokens(open_parent(run, section.template), work)
    counts: dict[str, Any] = {}
    on_first(lambda: counts.update(_prepare(run, parent, work)))
    rows = read_rows(work)
    steps = steps_of(section, len(rows))
    trainer = build_trainer(run, parent, rows, steps, work)
    summary = fit(trainer, run)
    folders, merge = publish_model(run, parent, trainer.model, work)
    return {
        **summary,
        **counts,
        "max_tokens": parent.max_tokens,
        "sequences": len(rows),
        "epochs": round(steps * section.step_sequences / len(rows), 3),
        **merge,
        "folders": folders,
    }


def build_trainer(run: StageRun, parent: Parent, rows: Dataset, steps: int, work: Path) -> Any:
    """TRL's trainer over encoded rows."""
    from trl import SFTConfig, SFTTrainer

    section: Sft = run.section
    # Before the arguments: once they name ZeRO stage 3, transformers loads parts of models only.
    model = load_for_tuning(run, parent)
    settings = SFTConfig(
        **arguments(run, work, steps),
        # Rows are encoded, labelled and cut already.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        padding_free=section.packing,
        train_sampling_strategy="sequential",
    )
    return SFTTrainer(
        model=model,
        args=settings,
        train_dataset=in_order(rows, steps * section.step_sequences, run.recipe.seed),
        processing_class=parent.tokenizer,
    )


def write_rows(conversations: Path, parent: Parent, work: Path, *, packing: bool) -> None:
    """Encode and label conversations, pack them if asked to, and keep them memory-mapped.

    Rows hold ``input_ids`` and ``labels``, packed ones ``seq_lengths`` too: conversations fill a
    sequence as they fit best, the longest first, and none is cut (arXiv 2404.10830).
    """
    import datasets
    from trl import pack_dataset

    rows = datasets.Dataset.from_json(str(conversations), cache_dir=str(work / "cache"))

    def encoded(row: dict[str, Any]) -> dict[str, Any]:
        ids, labels = encode(parent.tokenizer, row["messages"], parent.template.text)
        return {"input_ids": ids, "labels": labels}

    # A fingerprint of our own: that of a tokenizer changes from process to process.
    rows = rows.map(encoded, remove_columns=rows.column_names, new_fingerprint="encoded")
    if packing:
        rows = pack_dataset(rows, parent.max_tokens, strategy="bfd")
    rows.save_to_disk(str(work / "rows"))


def read_rows(work: Path) -> Dataset:
    """What ``write_rows`` wrote."""
    import datasets

    return datasets.load_from_disk(str(work / "rows"))


def _prepare(run: StageRun, parent: Parent, work: Path) -> dict[str, Any]:
    conversations = work / "conversations.jsonl"
    counts = prepare_conversations(
        run.input("data"),
        conversations,
        run.out / "quarantine.jsonl",
        parent.max_tokens,
        parent.count_tokens,
        parent.template.marks,
    )
    write_rows(conversations, parent, work, packing=run.section.packing)
    return counts
