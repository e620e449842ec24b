"""Four-bit weights: a model loaded in nf4, and the weights that it really computes with.

QLoRA (arXiv 2305.14314) trains an adapter beside weights quantised to NormalFloat4 in blocks of 64.
The function that is trained is dequantised(W4) + BA, not W + BA. bitsandbytes does the work, on
GPUs and on CPUs by the same code.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from tagarela_dagster.recipe.stage import Precision


def torch_dtype(precision: Precision) -> torch.dtype:
    """torch's type of a precision."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


def load_quantised(
    model: Path,
    *,
    stored: torch.dtype,
    compute: torch.dtype,
    double: bool,
    device: torch.device,
    attention: str | None = None,
) -> Any:
    """Frozen model with all linear layers but the head in nf4, and the rest in fp32.

    Args:
        stored: type that weights have before they are quantised; the same file and type give the
            same four bits again.
        compute: type of the products.
        double: quantise the blocks' scales too.
        attention: implementation; None leaves it to transformers.
    """
    import bitsandbytes
    from peft import prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    quantisation = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=compute,
        bnb_4bit_use_double_quant=double,
    )
    loaded = AutoModelForCausalLM.from_pretrained(
        model,
        quantization_config=quantisation,
        dtype=stored,
        device_map={"": device},
        use_safetensors=True,
        local_files_only=True,
        attn_implementation=attention,
    )
    for module in loaded.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            # On a CPU with AVX512-BF16 a forward pass in evaluation mode would repack the weights
            # in place, with scales rounded to bf16 (bitsandbytes 0.50, nn/modules.py): training
            # would go on beside other weights than it began with.
            module.support_avx512bf16_for_cpu = False
    return prepare_model_for_kbit_training(loaded, use_gradient_checkpointing=False)


def held_weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """All weights of a quantised model as it computes with them, name by name; fp32, on the CPU.

    Those in four bits are dequantised to fp32: bitsandbytes dequantises to the type of its input
    (0.50, autograd/_functions.py), not to the type that the weights were stored in, and rounded
    to that they would be another function.
    """
    import bitsandbytes
    import torch

    for name, parameter in model.named_parameters():
        if parameter.is_floating_point():
            yield name, parameter.detach().float().cpu()
    for name, module in model.named_modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            four_bits: Any = module.weight
            state = copy(four_bits.quant_state)
            state.dtype = torch.float32
            weight = bitsandbytes.functional.dequantize_4bit(four_bits.data, state)
            yield f"{name}.weight", weight.cpu()
