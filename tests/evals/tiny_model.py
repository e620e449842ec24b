"""A small random model with a tokenizer of its own, in a folder that transformers opens."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TEXTS = [
    "A menina comprou pão, leite e três ovos na padaria da esquina antes de ir à escola.",
    "O eléctrico subiu a calçada devagar, e a senhora de luto disse-lhe que não tinha pressa.",
    "O ônibus atrasou 25 minutos; o motorista pediu desculpas e abriu a porta de trás.",
] * 3


def write_model(folder: Path, architecture: str = "llama", context: int = 64) -> Path:
    """Save a model of 2 layers and a byte-level tokenizer whose pad token is not its end token."""
    import torch
    from transformers import (
        AutoModelForCausalLM,
        GPTNeoConfig,
        LlamaConfig,
        PretrainedConfig,
        PreTrainedTokenizerFast,
    )

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|fim|>", "<|pad|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|fim|>", pad_token="<|pad|>"
    )
    fast.save_pretrained(folder)
    shared = {
        "vocab_size": len(fast),
        "hidden_size": 32,
        "max_position_embeddings": context,
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": 1,
    }
    config: PretrainedConfig
    if architecture == "llama":
        config = LlamaConfig(
            **shared, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
        )
    else:
        config = GPTNeoConfig(
            **shared, num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]]
        )
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
