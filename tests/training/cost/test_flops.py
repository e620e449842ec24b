from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tagarela_dagster.training.cost import flops
from tagarela_dagster.training.cost.shape import named_shape
from tests.training.cost.shapes import gpt_neo, llama

BATCH, CONTEXT = 2, 64


def counted(model: Any) -> int:
    """Operations of a forward and a backward pass, as torch counts its products of matrices."""
    tokens = torch.randint(0, 300, (BATCH, CONTEXT))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=tokens, use_cache=False).logits.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 4}, {"tie_word_embeddings": True}])
def test_llamas_operations_are_those_that_torch_counts(changes: dict[str, Any]) -> None:
    model, shape = llama("eager", **changes)
    assert counted(model) == flops.training(shape, CONTEXT) * BATCH * CONTEXT


def test_gpt_neos_operations_are_those_that_torch_counts() -> None:
    model, shape = gpt_neo()
    assert counted(model) == flops.training(shape, CONTEXT) * BATCH * CONTEXT


def test_a_local_layer_counts_its_window_and_no_more() -> None:
    model, shape = gpt_neo(window_size=16)
    # transformers computes all scores of a local layer and masks them: 64 - 16 a query too many.
    masked = 3 * 4 * shape.queries * (64 - 16) * BATCH * CONTEXT
    assert shape.spans(CONTEXT) == [64, 16]
    assert counted(model) == flops.training(shape, CONTEXT) * BATCH * CONTEXT + masked


def test_checkpointing_repeats_operations_that_do_not_count() -> None:
    model, shape = llama("eager")
    needed = flops.training(shape, CONTEXT) * BATCH * CONTEXT
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    assert needed < counted(model) < needed * 4 / 3


def test_an_adapter_saves_the_gradients_of_frozen_weights() -> None:
    from peft import LoraConfig, get_peft_model

    model, shape = llama("eager")
    config = LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert trained == flops.adapter_parameters(shape, 8)
    # Nothing below the first block is trained: its q, k and v need no gradient of their input.
    h = shape.hidden
    unneeded = 2 * h * (shape.queries + 2 * shape.keys) + 2 * 3 * h * 8
    expected = flops.training(shape, CONTEXT, "lora", 8) - unneeded
    assert counted(adapted) == expected * BATCH * CONTEXT


def test_palms_formula_differs_by_norms_alone() -> None:
    shape = named_shape("meta-llama/Llama-2-7b-hf")
    # 6 x (6,738,415,616 - 32000 x 4096) + 12 x 32 x 4096 x 4096
    assert flops.palm(shape, 4096) == 46_086_512_640
    norms = (2 * 32 + 1) * 4096
    assert flops.palm(shape, 4096) - flops.training(shape, 4096) == 6 * norms


def test_glorias_operations_a_token() -> None:
    shape = named_shape("EleutherAI/gpt-neo-1.3B")
    # 6 x (24 x 12 x 2048^2 + 50257 x 2048) + 12 x 2048 x 12 x (512 + 256)
    assert flops.training(shape, 512) == 6 * 1_310_885_888 + 226_492_416
