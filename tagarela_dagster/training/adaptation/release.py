"""Release: a stage's model in the forms in which it is given away, each shown to be the same model.

``merged`` is a model folder in the recipe's precision, ``adapter`` the LoRA matrices as peft reads
them, ``delta`` the difference to the base (delta.py). The merged model must answer the probe as the
model with its adapter did when it was merged (fp32: each logit; bf16: the next-token distributions,
as rounding moves every logit a little), its tokenizer must be the parent's, and base plus delta
must be its bytes; else the release fails and nothing is published.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.provenance.files import replace_folder
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.recipe.adaptation import Release
from tagarela_dagster.recipe.stage import BASE
from tagarela_dagster.training.adaptation.base import base_name
from tagarela_dagster.training.adaptation.delta import WHOLE, XOR, apply_delta, write_delta
from tagarela_dagster.training.adaptation.inspection import WEIGHTS_INDEX, weight_files
from tagarela_dagster.training.adaptation.merge import ORIGINAL, ORIGINAL_TOLERANCE
from tagarela_dagster.training.adaptation.model_card import model_card, write_card
from tagarela_dagster.training.adaptation.probe import (
    divergence,
    largest_difference,
    loss,
    probe_ids,
    probe_logits,
    read_probe,
)
from tagarela_dagster.training.adaptation.quantised import torch_dtype
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.tokens.comparison import HARD_TEXTS, tokenizer_difference

if TYPE_CHECKING:
    from tagarela_dagster.training.stage import StageRun

MODEL, ADAPTER, DELTA = "model", "adapter", "delta"
SHARD_SIZE = "4GB"
"""Weights are cut into files of this size."""
_STAGED = ".release.partial"


def train(run: StageRun) -> dict[str, Any]:
    """Make the forms; nothing is trained."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    section: Release = run.section
    parent = run.input(section.parent)
    staged = run.out / _STAGED
    shutil.rmtree(staged, ignore_errors=True)
    if "adapter" in section.forms and not (parent / ADAPTER).is_dir():
        raise TrainingError(
            f"{section.parent} has no adapter to release (its method is full, or it added tokens): "
            f"leave `adapter` out of {run.name}.forms"
        )
    counts = write_merged(parent / MODEL, staged / MODEL, section)
    counts |= verify_merged(parent, staged / MODEL, section)
    write_card(staged / MODEL, model_card(run.recipe, section, counts))
    if "adapter" in section.forms:
        shutil.copytree(parent / ADAPTER, staged / ADAPTER)
        write_card(staged / ADAPTER, model_card(run.recipe, section, counts))
    if "delta" in section.forms:
        counts |= _make_delta(run, staged)
    names = {"merged": MODEL, "adapter": ADAPTER, "delta": DELTA}
    folders = {names[form]: names[form] for form in section.forms}
    for name in folders:
        replace_folder(staged / name, run.out / name)
    shutil.rmtree(staged)
    return {"folders": folders, "precision": section.precision, **counts}


def write_merged(model: Path, out: Path, section: Release) -> dict[str, Any]:
    """Write a model folder in the release's precision, with the parent's own tokenizer files."""
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(
        model,
        dtype=torch_dtype(section.precision),
        use_safetensors=True,
        local_files_only=True,
    )
    # Stages train without a cache of keys and values; whoever generates wants it.
    loaded.config.use_cache = loaded.generation_config.use_cache = True
    loaded.save_pretrained(out, max_shard_size=SHARD_SIZE)
    weights = {path.name for path in weight_files(model)} | {WEIGHTS_INDEX}
    for path in sorted(model.iterdir()):
        if path.is_file() and path.name not in weights and not (out / path.name).exists():
            shutil.copyfile(path, out / path.name)
    (out / "README.md").unlink(missing_ok=True)
    return {
        "parameters": sum(parameter.numel() for parameter in loaded.parameters()),
        "bytes": sum(path.stat().st_size for path in weight_files(out)),
        "sha256": {path.name: hash_file(path) for path in weight_files(out)},
    }


def verify_merged(parent: Path, merged: Path, section: Release) -> dict[str, float]:
    """Compare a merged model with the stage that it is released from.

    Returns:
        rounding_divergence: of its next-token distributions from the stage's model, in nats a
            token; adapter_logit_difference or adapter_divergence where there is an adapter.

    Raises:
        TrainingError: it is another function, or has another tokenizer.
    """
    from transformers import AutoTokenizer

    if difference := tokenizer_difference(parent / MODEL, merged, HARD_TEXTS):
        raise TrainingError(f"the released tokenizer is not the stage's: {difference}")
    ids = probe_ids(AutoTokenizer.from_pretrained(merged, local_files_only=True), 64)
    model = _fp32(merged)
    moved = divergence(probe_logits(_fp32(parent / MODEL), ids), probe_logits(model, ids))
    _require(moved, section.rounding_tolerance, "the stage's", "rounding_tolerance")
    found = {"rounding_divergence": moved}
    if not (parent / ADAPTER).is_dir():
        return found
    ids, wanted, onto = read_probe(parent / ADAPTER)
    logits = probe_logits(model, ids)
    if logits.shape != wanted.shape:
        raise TrainingError("the adapter's probe is of another vocabulary than the merged model")
    if onto == ORIGINAL and _quantised(parent / ADAPTER):
        more = loss(logits, ids) - loss(wanted, ids)
        _require(more, ORIGINAL_TOLERANCE, "the adapter's loss", "lora.merge_onto")
        return found | {"adapter_loss_difference": more}
    exact = section.precision == "fp32" and _stored_exactly(parent / MODEL)
    if exact:
        apart = largest_difference(wanted, logits)
        _require(apart, section.tolerance, "the adapter's", "tolerance")
        return found | {"adapter_logit_difference": apart}
    apart = divergence(wanted, logits)
    _require(apart, section.rounding_tolerance, "the adapter's", "rounding_tolerance")
    return found | {"adapter_divergence": apart}


def _make_delta(run: StageRun, staged: Path) -> dict[str, Any]:
    section: Release = run.section
    base: Any = run.recipe.training.base
    name = {"model": base_name(base), "revision": base.revision}
    folder = run.input(BASE) / MODEL
    counts = write_delta(staged / MODEL, folder, staged / DELTA, section.precision, name)
    again = staged / ".applied"
    apply_delta(staged / DELTA, folder, again)
    shutil.rmtree(again)
    return {"delta_tensors": counts[XOR], "delta_tensors_whole": counts[WHOLE]}


def _require(value: float, allowed: float, whose: str, setting: str) -> None:
    if not value <= allowed:
        raise TrainingError(
            f"the merged model differs from {whose} by {value:.3g} (allowed {allowed:g}, "
            f"{setting}): it is not released"
        )


def _fp32(folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
    ).eval()


def _stored_exactly(model: Path) -> bool:
    """Whether the stage's own model is in fp32, so that no rounding stands between."""
    import torch
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(model).dtype in (None, torch.float32)


def _quantised(adapter: Path) -> bool:
    from tagarela_dagster.training.adaptation.lora import read_adapter_record

    return read_adapter_record(adapter)["method"] == "qlora"
