"""LoRA: which parts of a model are adapted, and how an adapter is merged back.

The low-rank matrices stand beside all linear layers but the head (arXiv 2106.09685; all layers:
arXiv 2305.14314, section 4). Embeddings stay as they are: TRL's fused loss takes the head's own
weight, which in a tied model would miss what an adapter adds to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.training import Sft
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedTokenizerBase

MERGE_TOLERANCE = 1e-3
"""Largest difference of a logit between a model with its adapter and the merged one, in fp32."""


def lora_config(section: Sft) -> LoraConfig:
    """peft's configuration of the adapter."""
    from peft import LoraConfig

    return LoraConfig(
        r=section.lora_rank,
        lora_alpha=section.lora_alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def merge_adapter(
    model: Path, adapter: Path, out: Path, tokenizer: PreTrainedTokenizerBase, probe: list[int]
) -> float:
    """Merge in fp32, compare logits with the unmerged model, write ``out`` in the base's type.

    Args:
        probe: token ids of a conversation, to compare on.

    Returns:
        Largest absolute difference of a logit.

    Raises:
        TrainingError: it is above MERGE_TOLERANCE.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    base: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    adapted: Any = PeftModel.from_pretrained(base, adapter).eval()
    ids = torch.tensor([probe])
    with torch.no_grad():
        before = adapted(input_ids=ids, use_cache=False).logits
        merged = adapted.merge_and_unload()
        after = merged(input_ids=ids, use_cache=False).logits
    difference = float((before - after).abs().max())
    if not difference <= MERGE_TOLERANCE:
        raise TrainingError(
            f"the merged model's logits differ by {difference:.2g} from the adapter's (allowed "
            f"{MERGE_TOLERANCE:g}): the adapter in {adapter} is whole, the merged model is not kept"
        )
    merged.to(AutoConfig.from_pretrained(model).dtype or torch.float32)
    merged.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return difference
