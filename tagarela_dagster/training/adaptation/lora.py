"""A parent model made ready for training: all its weights, or low-rank adapters beside them.

The low-rank matrices stand beside all linear layers but the head (arXiv 2106.09685; all layers:
arXiv 2305.14314, section 4). Embeddings stay as they are: TRL's fused loss takes the head's own
weight, which in a tied model would miss what an adapter adds to it.

An adapter folder is peft's, with ``training.json`` beside it: how the weights were held that it
was trained beside, which is needed to merge it into the same function (merge.py).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.recipe.stage import Lora, Method, Precision
from tagarela_dagster.training.adaptation.quantised import load_quantised, torch_dtype
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig

ADAPTER_RECORD = "training.json"
_CONFIG = "adapter_config.json"


def lora_config(lora: Lora) -> LoraConfig:
    """peft's configuration of the adapter."""
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def local_device() -> torch.device:
    """This rank's device: its GPU, else the CPU."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def load_parent(
    folder: Path,
    method: Method,
    precision: Precision,
    lora: Lora,
    *,
    train: bool = True,
    zero_stage: int = 0,
    attention: str | None = None,
    seed: int = 0,
) -> Any:
    """Model of ``folder``, ready to be trained by ``method``.

    full: transformers' model, all parameters trained. lora and qlora: peft's model around it, of
    which only the adapter is trained; the adapter is fp32 and starts as no change at all (B is 0).
    With qlora the linear layers hold nf4 on this rank's device, and what is left (embeddings,
    norms, head) is fp32. Nothing turns gradient checkpointing on and no attention mask is made,
    so packed documents stay apart when positions restart (training/models/model.py).

    Args:
        folder: model folder in Hugging Face layout.
        precision: type of the weights (full, lora) or of the products (qlora).
        train: False: the frozen model alone, without an adapter, in evaluation mode.
        zero_stage: of the DeepSpeed engine that it is meant for.
        attention: implementation of attention; None leaves it to transformers.
        seed: of the adapter's random half; the same on every rank.

    Raises:
        TrainingError: qlora under ZeRO stage 3.
    """
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    if method == "qlora" and zero_stage == 3:
        raise TrainingError(
            "method qlora does not go with zero_stage 3: each rank loads the four-bit weights "
            "whole (4 GB for a 7B model), so that there is nothing left to divide. Take "
            "zero_stage 0, 1 or 2"
        )
    dtype = torch_dtype(precision)
    if method == "qlora":
        model = load_quantised(
            folder,
            stored=dtype,
            compute=dtype,
            double=lora.double_quantisation,
            device=local_device(),
            attention=attention,
        )
    else:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            attn_implementation=attention,
        )
    model.config.use_cache = False
    if not train:
        return model.requires_grad_(False).eval()
    if method != "full":
        torch.manual_seed(seed)
        model = get_peft_model(model, lora_config(lora))
        _check_adapter(model)
    return model.train()


def save_adapter(
    model: Any,
    folder: Path,
    *,
    method: Method,
    precision: Precision,
    lora: Lora,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write the adapter of peft's ``model`` as safetensors, without this machine's paths.

    Args:
        weights: the adapter's parameters by the model's names, where they had to be gathered
            first (ZeRO-3).
    """
    model.save_pretrained(
        folder, state_dict=weights, safe_serialization=True, save_embedding_layers=False
    )
    record_adapter(folder, method=method, precision=precision, lora=lora)


def record_adapter(folder: Path, *, method: Method, precision: Precision, lora: Lora) -> None:
    """Note beside an adapter how it was trained, and take this machine's paths out."""
    (folder / "README.md").unlink(missing_ok=True)
    settings = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    with atomic_write(folder / _CONFIG) as file:
        json.dump({**settings, "base_model_name_or_path": None}, file, indent=1, sort_keys=True)
    record: dict[str, Any] = {"method": method, "precision": precision}
    if method == "qlora":
        record |= {
            "quantisation": "nf4",
            "block": 64,
            "double_quantisation": lora.double_quantisation,
        }
    with atomic_write(folder / ADAPTER_RECORD) as file:
        json.dump(record, file, indent=1)


def read_adapter_record(folder: Path) -> dict[str, Any]:
    """What ``record_adapter`` noted. Raises TrainingError when there is none."""
    path = folder / ADAPTER_RECORD
    if not path.is_file():
        raise TrainingError(
            f"{folder} has no {ADAPTER_RECORD}, which says how the weights were held that this "
            "adapter was trained beside: train it again with this version"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def _check_adapter(model: Any) -> None:
    """Nothing but the adapter is trained, whatever the libraries' defaults become."""
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    if other := [name for name in trained if "lora_" not in name] or not trained:
        raise TrainingError(f"peft trains other weights than the adapter's: {other}")
