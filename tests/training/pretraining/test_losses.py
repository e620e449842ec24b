from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.pretraining.data import IGNORED, Batch
from tagarela_dagster.training.pretraining.losses import NextToken, cross_entropy

TOKENS, WIDTH, VOCABULARY = 37, 24, 101


def plain(
    hidden: torch.Tensor, weight: torch.Tensor, bias: Any, targets: torch.Tensor, z_loss: float
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.nn.functional.linear(hidden, weight, bias).float()
    ce = torch.nn.functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
    kept = targets != IGNORED
    return ce + z_loss * (logits.logsumexp(-1)[kept] ** 2).sum(), ce


def values(dtype: torch.dtype, *, bias: bool) -> tuple[Any, Any, Any, Any]:
    torch.manual_seed(5)
    hidden = torch.randn(TOKENS, WIDTH).to(dtype).requires_grad_()
    weight = torch.randn(VOCABULARY, WIDTH).to(dtype).requires_grad_()
    offset = torch.randn(VOCABULARY).to(dtype).requires_grad_() if bias else None
    targets = torch.randint(VOCABULARY, (TOKENS,))
    targets[::5] = IGNORED
    return hidden, weight, offset, targets


@pytest.mark.parametrize("chunk", [1, 3 * VOCABULARY, 10 * VOCABULARY, 1 << 22])
@pytest.mark.parametrize(("bias", "z_loss"), [(False, 0.0), (True, 0.0), (True, 0.01)])
def test_loss_and_gradients_in_chunks_are_those_of_all_logits_at_once(
    bias: bool, z_loss: float, chunk: int
) -> None:
    found = []
    for function in (plain, cross_entropy):
        hidden, weight, offset, targets = values(torch.float32, bias=bias)
        more = (chunk,) if function is cross_entropy else ()
        objective, ce = function(hidden, weight, offset, targets, z_loss, *more)
        (objective * 0.37).backward()
        gradients = [p.grad for p in (hidden, weight, offset) if p is not None]
        found.append([objective.detach(), ce.detach(), *gradients])
    for wanted, value in zip(*found, strict=True):
        # A few units in the last place of fp32.
        torch.testing.assert_close(value, wanted, rtol=1e-6, atol=1e-6 * float(wanted.abs().max()))


def test_in_bf16_the_softmax_and_the_sums_are_taken_in_fp32() -> None:
    hidden, weight, _, targets = values(torch.bfloat16, bias=False)
    objective, _ = cross_entropy(hidden, weight, None, targets, 0.0, 4 * VOCABULARY)
    objective.backward()
    wanted, _ = plain(hidden, weight, None, targets, 0.0)
    assert objective.dtype == torch.float32
    torch.testing.assert_close(objective, wanted, rtol=1e-6, atol=0)
    exact = [p.detach().float().requires_grad_() for p in (hidden, weight)]
    plain(*exact, None, targets, 0.0)[0].backward()
    for parameter, reference in zip((hidden, weight), exact, strict=True):
        assert parameter.grad is not None and parameter.grad.dtype == torch.bfloat16
        assert reference.grad is not None
        error = (parameter.grad.float() - reference.grad).norm() / reference.grad.norm()
        assert error < 0.01


def test_a_frozen_head_takes_no_gradient_and_gives_the_same_to_what_is_below() -> None:
    hidden, weight, _, targets = values(torch.float32, bias=False)
    cross_entropy(hidden, weight, None, targets)[0].backward()
    wanted = hidden.grad.clone()
    hidden.grad = None
    frozen = weight.detach()
    cross_entropy(hidden, frozen, None, targets)[0].backward()
    assert frozen.grad is None
    assert torch.equal(hidden.grad, wanted)


def test_a_batch_without_targets_has_no_loss_and_no_gradient() -> None:
    hidden, weight, _, targets = values(torch.float32, bias=False)
    targets[:] = IGNORED
    objective, ce = cross_entropy(hidden, weight, None, targets, 0.01)
    objective.backward()
    assert objective == ce == 0
    assert not hidden.grad.any() and not weight.grad.any()


def small_model(*, tied: bool) -> Any:
    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            tie_word_embeddings=tied,
        )
    )


@pytest.mark.parametrize("tied", [True, False])
def test_a_models_loss_and_gradients_are_those_of_its_logits(tied: bool) -> None:
    torch.manual_seed(2)
    tokens = torch.randint(VOCABULARY, (3, 16))
    positions = torch.arange(16).repeat(3, 1)
    batch = Batch(tokens, positions, tokens[:, 1:], ["a"] * 3)
    model = small_model(tied=tied)
    logits = model(input_ids=tokens, position_ids=positions, use_cache=False).logits[:, :-1]
    wanted, ce = plain(
        logits.flatten(0, 1), torch.eye(VOCABULARY), None, tokens[:, 1:].flatten(), 0
    )
    wanted.backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    objective, sums = NextToken(model)(model, batch)
    objective.backward()
    torch.testing.assert_close(sums["loss"], ce.detach(), rtol=1e-6, atol=0)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-5)
    again = model(input_ids=tokens, position_ids=positions, use_cache=False).logits[:, :-1]
    assert torch.equal(again, logits), "called otherwise, the head gives logits"


def test_one_long_row_has_the_loss_of_its_rows() -> None:
    """What flash attention is given; the positions keep the rows apart for SDPA too."""
    torch.manual_seed(2)
    tokens = torch.randint(VOCABULARY, (3, 16))
    positions = torch.cat([torch.arange(6), torch.arange(10)]).repeat(3, 1)
    batch = Batch(tokens, positions, tokens[:, 1:], ["a"] * 3)
    model = small_model(tied=True)
    loss = NextToken(model)
    wanted, _ = loss(model, batch)
    loss.flat = True
    found, _ = loss(model, batch)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)


def test_a_head_that_is_no_linear_layer_is_refused() -> None:
    model = small_model(tied=False)
    model.set_output_embeddings(torch.nn.Sequential(torch.nn.Linear(32, VOCABULARY)))
    with pytest.raises(TrainingError, match="is a Sequential and no plain linear layer"):
        NextToken(model)
