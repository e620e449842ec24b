from __future__ import annotations

from typing import Any

import pytest
import torch

from tagarela_dagster.training.cost import activations
from tests.training.cost.shapes import gpt_neo, llama

BATCH, CONTEXT = 2, 64
TYPES = {4: torch.float32, 2: torch.bfloat16}


def saved(model: Any, body: Any) -> int:
    """Bytes that autograd keeps for the backward pass through the blocks, weights apart."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    tokens = torch.randint(0, 300, (BATCH, CONTEXT))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        body.train()(input_ids=tokens, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def a_layer(build: Any, deep: dict[str, Any], flat: dict[str, Any], **more: Any) -> float:
    """Bytes a token of one block: the difference of two depths."""
    sizes = []
    for changes in (deep, flat):
        model, shape = build(**changes)
        model = model.to(TYPES[more.get("width", 4)])
        if more.get("checkpointing"):
            model.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
        body = model.model if build is llama else model.transformer
        sizes.append((saved(model, body), shape.layers))
    (more_bytes, deep_layers), (fewer, flat_layers) = sizes
    return (more_bytes - fewer) / (deep_layers - flat_layers) / (BATCH * CONTEXT)


LLAMAS = ({"num_hidden_layers": 4}, {"num_hidden_layers": 2})
NEOS = (
    {"num_layers": 4, "attention_types": [[["global", "local"], 2]]},
    {"num_layers": 2},
)


@pytest.mark.parametrize("width", [4, 2])
def test_what_a_llama_block_keeps_is_predicted_to_the_byte(width: int) -> None:
    _, shape = llama()
    assert a_layer(llama, *LLAMAS, width=width) == activations.layer(shape, CONTEXT, width)


@pytest.mark.parametrize("width", [4, 2])
def test_what_eager_attention_keeps_more_is_predicted(width: int) -> None:
    _, shape = llama()
    deep, flat = ({**changes, "attention": "eager"} for changes in LLAMAS)
    predicted = activations.layer(shape, CONTEXT, width, fused=False)
    assert a_layer(llama, deep, flat, width=width) == pytest.approx(predicted, rel=0.02)


@pytest.mark.parametrize("width", [4, 2])
def test_what_a_gpt_neo_block_keeps_is_predicted(width: int) -> None:
    _, shape = gpt_neo()
    predicted = activations.layer(shape, CONTEXT, width)
    # On a CPU the norms' means of bf16 are bf16 too: 8 bytes less.
    assert predicted - a_layer(gpt_neo, *NEOS, width=width) == (8 if width == 2 else 0)


def test_with_checkpointing_a_block_keeps_its_input() -> None:
    assert a_layer(llama, *LLAMAS, checkpointing=True) == 4 * 96
    assert a_layer(gpt_neo, *NEOS, checkpointing=True) == 4 * 64


@pytest.mark.parametrize(("width", "adapter_width"), [(4, 4), (2, 4), (2, 2)])
def test_what_an_adapter_keeps_is_predicted_to_the_byte(width: int, adapter_width: int) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")
    sizes = []
    for changes in LLAMAS:
        model, shape = llama(**changes)
        adapted = get_peft_model(model.to(TYPES[width]), config)
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.data = parameter.data.to(TYPES[adapter_width])
        sizes.append(saved(adapted, adapted.base_model.model.model))
    predicted = activations.layer(shape, CONTEXT, width)
    predicted += activations.adapter(shape, 8, width, adapter_width)
    assert (sizes[0] - sizes[1]) / 2 / (BATCH * CONTEXT) == predicted


def test_the_whole_of_a_checkpointed_model_is_hand_arithmetic() -> None:
    _, shape = llama()
    block = activations.layer(shape, CONTEXT, 2)
    # 16 x 96 + 8, 4 x 2 x 160, 2 x 2 x (128 + 64), 4 x 4
    assert block == 1544 + 1280 + 768 + 16
    assert activations.whole(shape, CONTEXT, 2) == 3 * block
    assert activations.whole(shape, CONTEXT, 2, checkpointing=True) == 3 * 2 * 96 + block


def test_a_loss_in_chunks_takes_a_chunk_and_the_gradients_beside_it() -> None:
    _, shape = llama()
    assert activations.loss(shape, 1000, 2) == 12 * 1000 * 320
    chunked = activations.loss(shape, 1000, 2, 3200)
    assert chunked == 12 * 3200 + 2 * 1000 * 96 + 4 * 320 * 96
    assert activations.loss(shape, 1000, 2, 3200, head=False) == chunked - 4 * 320 * 96
