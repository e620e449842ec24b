"""Surgery: the graph's tokenizer transplanted into a model, so that Portuguese costs fewer tokens.

The layers stay as they are; the input embeddings and the output layer get a row for each token of
the new vocabulary, made of the old rows (transplant.py). The stage measures what was won and what
was lost before any training: tokens a word and bytes a token, and the loss in nats per *byte* of
held-out text, in which two vocabularies can be compared.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.evals.bits_per_byte import score_documents
from tagarela_dagster.evals.documents import HeldOutDocument, read_documents
from tagarela_dagster.provenance.files import replace_folder
from tagarela_dagster.recipe.adaptation import Surgery
from tagarela_dagster.training.adaptation.probe import probe_ids, probe_logits
from tagarela_dagster.training.adaptation.pursuit import refine
from tagarela_dagster.training.adaptation.transplant import (
    PIECES,
    SHARED,
    UNKNOWN,
    Plan,
    mix,
    plan_transplant,
)
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.tokens.comparison import HARD_TEXTS, tokenizer_difference

if TYPE_CHECKING:
    from tagarela_dagster.training.stage import StageRun

MODEL = "model"
_STAGED = ".model.partial"
DOCUMENTS, CHARACTERS = 64, 2_000
"""Held-out text that is measured on: documents at most, and characters of each."""


def train(run: StageRun) -> dict[str, Any]:
    """Transplant the tokenizer; nothing is trained."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    section: Surgery = run.section
    parent = run.input(section.parent) / MODEL
    tokenizer = run.input("tokenizer")
    staged = run.out / _STAGED
    shutil.rmtree(staged, ignore_errors=True)
    documents = held_out_documents(run.input("held_out"))
    counts = transplant(parent, tokenizer, staged, section, run.recipe.seed)
    measured = {
        **_named(measure(parent, documents), "before"),
        **_named(measure(staged, documents), "after"),
    }
    replace_folder(staged, run.out / MODEL)
    return {"folders": {MODEL: MODEL}, "method": section.method, **counts, **measured}


def held_out_documents(folder: Path) -> list[HeldOutDocument]:
    """The first held-out documents. Raises TrainingError when there are none."""
    files = sorted(folder.rglob("*.parquet"))
    rows = (document for file in files for document in read_documents(file, CHARACTERS))
    documents = [document for _, document in zip(range(DOCUMENTS), rows, strict=False)]
    if not documents:
        raise TrainingError(f"{folder} holds no documents: materialize held_out first")
    return documents


def transplant(
    parent: Path, tokenizer: Path, out: Path, section: Surgery, seed: int
) -> dict[str, Any]:
    """Write the model of ``parent`` with the vocabulary of ``tokenizer`` to ``out``.

    Returns:
        vocabularies, parameters, and how many tokens were made how.

    Raises:
        TrainingError: the tokenizers cannot be compared, or the result is not sound.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    old = AutoTokenizer.from_pretrained(parent, local_files_only=True)
    new = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(
        parent, dtype="auto", use_safetensors=True, local_files_only=True
    )
    plan = plan_transplant(old, new)
    if section.method == "omp":
        plan = refine(plan, old, new, section.neighbours)
    mixtures = [
        ([], []) if section.method == "random" and kind == PIECES else mixture
        for mixture, kind in zip(plan.mixtures, plan.kinds, strict=True)
    ]
    _set_vocabulary(model, Plan(mixtures, plan.kinds, plan.inputs), seed)
    for settings in (model.config, model.generation_config):
        settings.bos_token_id = new.bos_token_id
        settings.eos_token_id = new.eos_token_id
        settings.pad_token_id = new.pad_token_id
    model.save_pretrained(out)
    for path in sorted(tokenizer.iterdir()):
        if path.is_file():
            shutil.copyfile(path, out / path.name)
    _verify(out, tokenizer, model)
    regular = plan.count(SHARED) + plan.count(PIECES) + plan.count(UNKNOWN)
    return {
        "vocabulary_before": len(old),
        "vocabulary_after": len(new),
        "overlap_share": plan.count(SHARED) / regular,
        "tokens_shared": plan.count(SHARED),
        "tokens_from_pieces": plan.count(PIECES),
        "tokens_random": sum(not ids for ids, _ in mixtures),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "dtype": str(model.dtype).removeprefix("torch."),
    }


def _set_vocabulary(model: Any, plan: Plan, seed: int) -> None:
    """Give the model the plan's rows, at the input and, where it is not tied, at the output."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    tied = outputs.weight is inputs.weight
    own = list(plan.mixtures)
    if not tied:
        for number, mixture in plan.inputs.items():
            own[number] = mixture
    rows = mix(inputs.weight.detach().float(), own, generator)
    head = None if tied else mix(outputs.weight.detach().float(), plan.mixtures, generator)
    bias = getattr(outputs, "bias", None)
    if bias is not None:
        raise TrainingError("the output layer has a bias, which surgery does not carry over")
    model.resize_token_embeddings(len(rows), mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(rows)
        if head is not None:
            model.get_output_embeddings().weight.copy_(head)


def _verify(out: Path, tokenizer: Path, model: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if difference := tokenizer_difference(tokenizer, out, HARD_TEXTS):
        raise TrainingError(f"the model's tokenizer is not the graph's: {difference}")
    loaded = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, local_files_only=True)
    ids = probe_ids(AutoTokenizer.from_pretrained(out, local_files_only=True), 64)
    if not torch.equal(probe_logits(loaded.eval(), ids), probe_logits(model.float().eval(), ids)):
        raise TrainingError("the model that was written has other logits than the one made")


def measure(folder: Path, documents: Sequence[HeldOutDocument]) -> dict[str, float]:
    """``fertility`` (tokens a whitespace word), ``bytes_per_token`` and ``nats_per_byte`` of a
    model with its tokenizer on held-out text."""
    from tagarela_dagster.evals.model import load_model

    scores = list(score_documents(load_model(folder), documents))
    tokens, size = sum(s.tokens for s in scores), sum(s.bytes for s in scores)
    words = sum(len(document.text.split()) for document in documents)
    return {
        "fertility": tokens / words,
        "bytes_per_token": size / tokens,
        "nats_per_byte": sum(s.bits for s in scores) * math.log(2) / size,
    }


def _named(values: dict[str, float], when: str) -> dict[str, float]:
    return {f"{name}_{when}": value for name, value in values.items()}
