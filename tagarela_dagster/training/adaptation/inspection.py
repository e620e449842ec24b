"""Inspect somebody else's model before anything is trained on it.

Nothing in the folder is run: weights are safetensors, the architecture and the tokenizer are
transformers' own, and ``trust_remote_code`` is never set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.training.adaptation.probe import PROBE_TEXT, loss, probe_ids, probe_logits
from tagarela_dagster.training.launching.failure import TrainingError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
KEPT = (
    "*.json",
    "*.safetensors",
    "*.jinja",
    "tokenizer.model",
    "spiece.model",
    "vocab.txt",
    "merges.txt",
    "LICENSE*",
    "USE_POLICY*",
    "README.md",
)
"""Files of a model that are taken. None of them can run anything."""
_LICENSE = re.compile(r"^license:\s*[\"']?([^\s\"']+)", re.MULTILINE)


@dataclass(frozen=True)
class Inspection:
    """What a base is."""

    architecture: str
    parameters: int
    dtype: str
    vocabulary: int
    context: int | None
    license: str
    loss_probe: float
    """Nats a token of the probe text."""
    probe_tokens_per_word: float

    def as_json(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def weight_files(folder: Path) -> list[Path]:
    """Files of a model's weights. Raises TrainingError when there are none, or one is missing."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        pickles = sorted(path.name for path in folder.glob("*.bin"))
        found = f"; {', '.join(pickles)} are pickles, which can run code" if pickles else ""
        raise TrainingError(
            f"{folder} holds no safetensors weights{found}: take a revision with safetensors, or "
            "convert the model first"
        )
    names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise TrainingError(f"{index} names {', '.join(missing)}, which {folder} lacks")
    if other := [name for name in names if Path(name).name != name]:
        raise TrainingError(f"{index} names {other[0]}, which is no file beside it")
    return [folder / name for name in names]


def kept_files(folder: Path) -> Iterator[Path]:
    """Files of a folder that are taken along, by name; weights of other formats are not."""
    weights = {path.name for path in weight_files(folder)}
    for path in sorted({path for pattern in KEPT for path in folder.glob(pattern)}):
        if path.is_file() and (path.suffix != ".safetensors" or path.name in weights):
            yield path


def inspect(folder: Path) -> Inspection:
    """Load a model and its tokenizer, and say what they are.

    Raises:
        TrainingError: it is no causal language model of transformers' own, is quantised already,
            lacks weights, or its tokenizer does not give a text back.
    """
    import torch
    from transformers import AutoModelForCausalLM

    settings = _settings(folder)
    weight_files(folder)
    tokenizer = _tokenizer(folder)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype="auto",
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    model, told = loaded
    if wrong := sorted({*told["missing_keys"], *map(str, told["mismatched_keys"])}):
        raise TrainingError(
            f"the weights in {folder} lack {len(wrong)} of the model's tensors, {wrong[0]} first: "
            "the download or the conversion is not whole"
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise TrainingError(
            f"the tokenizer in {folder} has {len(tokenizer)} tokens, the model {rows} embeddings: "
            "they are not of one model"
        )
    ids = probe_ids(tokenizer, getattr(model.config, "max_position_embeddings", None) or 64)
    dtype = next(model.parameters()).dtype
    value = loss(probe_logits(model.float().eval(), ids), ids)
    words = len(PROBE_TEXT.split())
    return Inspection(
        architecture=settings["model_type"],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        dtype={torch.float32: "fp32", torch.bfloat16: "bf16"}.get(dtype, str(dtype)),
        vocabulary=len(tokenizer),
        context=getattr(model.config, "max_position_embeddings", None),
        license=_license(folder),
        loss_probe=value,
        probe_tokens_per_word=len(tokenizer(PROBE_TEXT, add_special_tokens=False)["input_ids"])
        / words,
    )


def _settings(folder: Path) -> dict[str, Any]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    path = folder / CONFIG
    if not path.is_file():
        raise TrainingError(f"{folder} is no model folder: there is no {CONFIG} in it")
    settings = json.loads(path.read_text(encoding="utf-8"))
    kind = settings.get("model_type")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        own = " and brings code of its own, which is never run" if "auto_map" in settings else ""
        raise TrainingError(
            f"{path}: model_type {kind!r} is no causal language model that transformers has{own}"
        )
    if "quantization_config" in settings:
        raise TrainingError(
            f"{path}: this model is quantised already; take the one with full weights, which "
            "method qlora quantises itself"
        )
    return settings


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    if not tokenizer.is_fast:
        raise TrainingError(f"the tokenizer in {folder} has no fast form (tokenizer.json)")
    if tokenizer.eos_token_id is None:
        raise TrainingError(f"the tokenizer in {folder} has no token that ends a document")
    ids = tokenizer(PROBE_TEXT, add_special_tokens=False)["input_ids"]
    back = str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))
    if back.removeprefix(" ") != PROBE_TEXT:
        raise TrainingError(f"the tokenizer in {folder} does not give a text back: {back[:80]!r}")
    return tokenizer


def _license(folder: Path) -> str:
    """Licence as the model's card names it, else the name of a licence file, else unknown."""
    card = folder / "README.md"
    if card.is_file():
        head = card.read_text(encoding="utf-8", errors="replace").split("---")
        if len(head) > 2 and (found := _LICENSE.search(head[1])):
            return found.group(1)
    files = sorted(path.name for path in folder.glob("LICENSE*"))
    return files[0] if files else "unknown"
