"""Model: GPT-Neo or Llama in transformers' own classes, from the recipe's shape.

Initial weights are a function of the seed and the layer's name alone, drawn on the CPU: they are
the same on any device, and where ZeRO-3 divides the model layer by layer while it is built.

Documents are packed into sequences, and positions restart at 0 with each. Both architectures
keep attention within a document when they are given these positions **without** an attention
mask and with ``use_cache=False`` (transformers, masking_utils.find_packed_sequence_indices); a
mask of ones would let documents see each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.training import Model
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


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
        return LlamaConfig(
            **shared,
            num_hidden_layers=section.layers,
            num_attention_heads=section.heads,
            num_key_value_heads=section.kv_heads or section.heads,
            intermediate_size=section.feed_forward,
        )
    pairs, odd = divmod(section.layers, 2)
    attention: list[Any] = [[["global", "local"], pairs]] if pairs else []
    attention += [[["global"], 1]] if odd else []
    return GPTNeoConfig(
        **shared,
        num_layers=section.layers,
        num_heads=section.heads,
        intermediate_size=section.feed_forward,
        attention_types=attention,
        window_size=min(section.window, section.context),
    )


def build_model(
    section: Model,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    attention: str | None = None,
) -> PreTrainedModel:
    """New model in fp32, with the same weights on every rank.

    Args:
        attention: implementation of attention; None takes the best that there is.

    Raises:
        TrainingError: this attention cannot be had here.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.initialization import no_init_weights

    config = model_config(section, tokenizer)
    with no_init_weights():
        model = AutoModelForCausalLM.from_config(
            config, attn_implementation=choose_attention(config, attention or "auto")
        )
    model.tie_weights()
    _initialize(model, seed)
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        max_length=section.context,
    )
    return model


def _initialize(model: Any, seed: int) -> None:
    """Draw every layer's weights as its architecture says, each from a generator of its own."""
    import torch

    done: set[int] = set()
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in done]
        done |= {id(p) for p in own}
        if not own:
            continue
        with _whole(own) as mine:
            if not mine:
                continue
            placed = [p.data for p in own]
            for parameter in own:
                parameter.data = torch.empty_like(parameter.data, device="cpu")
            digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
                model._init_weights(module)
            for parameter, place in zip(own, placed, strict=True):
                place.copy_(parameter.data)
                parameter.data = place


@contextmanager
def _whole(parameters: list[Any]) -> Iterator[bool]:
    """Gathers parameters that ZeRO-3 has divided, to be written by rank 0; whether this rank
    writes."""
    if not hasattr(parameters[0], "ds_id"):
        yield True
        return
    import deepspeed
    import torch.distributed as dist

    with deepspeed.zero.GatheredParameters(parameters, modifier_rank=0):
        yield dist.get_rank() == 0


def choose_attention(config: PretrainedConfig, asked: str) -> str:
    """Implementation of attention for an architecture on this machine.

    ``auto`` takes flash attention where it is installed and there is a GPU, else SDPA where the
    architecture has it (GPT-Neo has none), else eager.

    Raises:
        TrainingError: the one that is asked for cannot be had.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import is_flash_attn_2_available

    model: Any = AutoModelForCausalLM._model_mapping[type(config)]
    flash = torch.cuda.is_available() and is_flash_attn_2_available()
    possible = [
        name
        for name, there in {
            "flash_attention_2": flash and model._supports_flash_attn,
            "sdpa": model._supports_sdpa,
            "eager": True,
        }.items()
        if there
    ]
    if asked == "auto":
        return possible[0]
    if asked not in possible:
        raise TrainingError(
            f"attention {asked} cannot be had for {config.model_type} here; possible are "
            f"{', '.join(possible)}"
        )
    return asked


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
