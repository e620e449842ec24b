"""Small models and the shapes that stand for them."""

from __future__ import annotations

from typing import Any

from tagarela_dagster.training.cost.shape import Shape, config_shape

NEO_DROPOUTS = {"resid_dropout": 0, "embed_dropout": 0, "attention_dropout": 0}


def llama(attention: str = "sdpa", **changes: Any) -> tuple[Any, Shape]:
    """A Llama with grouped queries and heads that don't fill the hidden width."""
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = {
        "vocab_size": 320,
        "hidden_size": 96,
        "intermediate_size": 160,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 128,
        "tie_word_embeddings": False,
    }
    config = LlamaConfig(**settings | changes, attn_implementation=attention)
    return LlamaForCausalLM(config), config_shape(config.to_dict())


def gpt_neo(**changes: Any) -> tuple[Any, Shape]:
    """A GPT-Neo of one global and one local layer."""
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    settings = {
        "vocab_size": 320,
        "hidden_size": 64,
        "num_layers": 2,
        "num_heads": 4,
        "intermediate_size": 256,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 64,
        "max_position_embeddings": 128,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    config = GPTNeoConfig(**settings | NEO_DROPOUTS | changes)
    return GPTNeoForCausalLM(config), config_shape(config.to_dict())
