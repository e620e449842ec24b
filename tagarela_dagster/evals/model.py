"""The model under evaluation: a local folder in Hugging Face's layout, opened once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tagarela_dagster.provenance.fingerprint import hash_file

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

REVISION_LENGTH = 16
"""Hex digits of a model revision."""
DESCRIBED_BY = ("config.json", "tokenizer.json", "tokenizer.model", "generation_config.json")
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "n_ctx")


class ModelError(ValueError):
    """A folder holds no model that can be evaluated; the message says what is missing."""


@dataclass(frozen=True)
class LoadedModel:
    """Model and tokenizer, ready on their device, in evaluation mode.

    Attributes:
        context: tokens that the model can see.
        prefix: token that opens a document (beginning of sequence, else end of text).
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    context: int
    prefix: int


def model_revision(folder: Path) -> str:
    """16 hex digits over the weights, the configuration and the tokenizer of a model folder.

    Raises:
        ModelError: the folder holds no safetensors weights or no configuration.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is no model folder: there is no config.json in it")
    if not weights:
        raise ModelError(
            f"{folder} holds no .safetensors weights: convert the model first (pickled weights "
            "are not read, they can run code)"
        )
    digest = hashlib.sha256()
    for path in [*weights, *(folder / name for name in DESCRIBED_BY)]:
        if path.is_file():
            digest.update(f"{path.name} {hash_file(path)}\n".encode())
    return digest.hexdigest()[:REVISION_LENGTH]


def load_model(folder: Path) -> LoadedModel:
    """Open a model folder: fp32 on a CPU, its own type on a GPU; no code from it is run.

    Raises:
        ModelError: it is no model folder, or its tokenizer has neither a beginning-of-sequence
            nor an end token.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model_revision(folder)
    on_gpu = torch.cuda.is_available()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        dtype="auto" if on_gpu else torch.float32,
    )
    model.eval().to("cuda" if on_gpu else "cpu")
    opening = (tokenizer.bos_token_id, tokenizer.eos_token_id)
    prefix = next((token for token in opening if token is not None), None)
    if prefix is None:
        raise ModelError(f"the tokenizer of {folder} has no token that opens or ends a document")
    found = [getattr(model.config, name, None) for name in CONTEXT_NAMES]
    context = next((value for value in found if value), None)
    if context is None:
        raise ModelError(f"{folder}/config.json has none of {', '.join(CONTEXT_NAMES)}")
    return LoadedModel(model, tokenizer, context, prefix)
