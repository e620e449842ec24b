"""Model: GPT-Neo or Llama in transformers' own classes, from the recipe's shape.

Documents are packed into sequences, and positions restart at 0 with each. Both architectures
keep attention within a document when they are given these positions **without** an attention
mask and with ``use_cache=False`` (transformers, masking_utils.find_packed_sequence_indices); a
mask of ones would let documents see each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.training import Model

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

FEED_FORWARD_MULTIPLE = 64
"""Llama's feed-forward width is rounded up to a multiple of this."""


def model_config(section: Model, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """transformers configuration of a model of this shape over this vocabulary."""
    from transformers import GPTNeoConfig, LlamaConfig

    shared: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": section.hidden,
        "max_position_embeddings": section.context,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": section.tie_embeddings,
        "use_cache": False,
    }
    if section.architecture == "llama":
        # 2/3 of 4 x hidden, as SwiGLU has three matrices where two stood (arXiv 2002.05202).
        width = -(-8 * section.hidden // 3)
        rounded = -(-width // FEED_FORWARD_MULTIPLE) * FEED_FORWARD_MULTIPLE
        return LlamaConfig(
            **shared,
            num_hidden_layers=section.layers,
            num_attention_heads=section.heads,
            num_key_value_heads=section.kv_heads or section.heads,
            intermediate_size=section.intermediate or rounded,
        )
    pairs, odd = divmod(section.layers, 2)
    attention: list[Any] = [[["global", "local"], pairs]] if pairs else []
    attention += [[["global"], 1]] if odd else []
    return GPTNeoConfig(
        **shared,
        num_layers=section.layers,
        num_heads=section.heads,
        intermediate_size=section.intermediate or 4 * section.hidden,
        attention_types=attention,
        window_size=min(section.window, section.context),
    )


def build_model(section: Model, tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """New model in fp32 on the CPU; the same seed gives the same weights on every rank."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    config = model_config(section, tokenizer)
    attention = "sdpa" if section.architecture == "llama" else "eager"
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        max_length=section.context,
    )
    return model


def count_parameters(model: Any) -> int:
    """Trainable parameters, tied weights counted once; whole also where ZeRO-3 splits them."""
    return sum(getattr(p, "ds_numel", p.numel()) for p in model.parameters())


def parameter_groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Optimizer groups of what is trained: weight matrices decay; norms, biases and embeddings
    don't."""
    import torch

    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)
    }
    decayed: list[Any] = []
    plain: list[Any] = []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        # ds_shape: of a parameter that ZeRO-3 has divided already.
        matrix = len(getattr(parameter, "ds_shape", parameter.shape)) >= 2
        (decayed if matrix and id(parameter) not in embeddings else plain).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Tokenizer of a folder in Hugging Face layout. Raises OSError when there is none."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def model_context(folder: Path) -> int:
    """Longest sequence, in tokens, of the model in ``folder``."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder).max_position_embeddings
