"""Floating-point operations of training: what a model needs, whatever a machine does more.

A product of (a, b) and (b, c) is 2abc operations. The backward pass takes each twice: once for
the gradient of the inputs, once for that of the weights; frozen weights need the first only.
Operations that activation checkpointing repeats, and scores that a mask throws away within a
window, don't count: this is for model FLOPs utilisation (MFU, PaLM, arXiv 2204.02311, appendix
B), not hardware utilisation. As there, causal attention counts whole, not half.
"""

from __future__ import annotations

from tagarela_dagster.recipe.stage import Method
from tagarela_dagster.training.cost.shape import Shape


def attention(shape: Shape, context: int) -> int:
    """Forward operations of scores and weighted sums a token: 2 x 2 x queries x span a layer."""
    return 4 * shape.queries * sum(shape.spans(context))


def forward(shape: Shape, context: int) -> int:
    """Forward operations a token: linear layers, head and attention."""
    return 2 * (shape.linear + shape.head) + attention(shape, context)


def adapter_parameters(shape: Shape, rank: int) -> int:
    """Parameters of LoRA beside all linear layers but the head (arXiv 2106.09685)."""
    return shape.layers * rank * sum(rows + columns for rows, columns in shape.matrices)


def training(shape: Shape, context: int, method: Method = "full", rank: int = 0) -> int:
    """Forward and backward operations a token.

    Args:
        method: ``full`` trains all weights; ``lora`` and ``qlora`` the adapter of ``rank``.
    """
    if method == "full":
        return 3 * forward(shape, context)
    frozen = 2 * 2 * (shape.linear + shape.head)
    return frozen + 3 * attention(shape, context) + 6 * adapter_parameters(shape, rank)


def palm(shape: Shape, context: int) -> int:
    """PaLM's approximation, 6N + 12LHQT: N are all parameters but the input embedding."""
    inputs = shape.vocabulary * shape.hidden
    n = shape.parameters - (0 if shape.tied and shape.outputs is None else inputs)
    if shape.architecture == "gpt_neo":
        n -= shape.context * shape.hidden
    return 6 * n + 12 * shape.queries * sum(shape.spans(context))
