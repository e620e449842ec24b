"""Activations: what the backward pass keeps of a micro-batch, in bytes a token.

Counted from what autograd saves in transformers' own layers (tests/training/cost/test_activations
holds the formulas to torch.autograd.graph.saved_tensors_hooks, to the byte); how such counts are
made: Korthikanti et al., arXiv 2205.05198, section 4. e: bytes of the precision, T: context.
"""

from __future__ import annotations

from tagarela_dagster.training.cost.shape import Shape

LOGIT_BYTES = 12
"""Of a logit at the loss's peak: the logits in fp32, their log-softmax and its gradient."""


def layer(shape: Shape, context: int, width: int, *, fused: bool = True) -> int:
    """Bytes a token that one block keeps.

    Args:
        width: bytes of the precision, e.
        fused: attention keeps no scores (SDPA, flash attention). GPT-Neo has no such form, and
            computes scores in fp32 over the whole context also where it is local.
    """
    h, f = shape.hidden, shape.intermediate
    scores = (4 if width == 4 else 4 + width) * context * shape.heads
    if not shape.gated:
        # Norms: input and output, each twice; q, k (in fp32), v, output, its projection; GELU in
        # five steps (transformers, activations.NewGELUActivation).
        return (32 * h + 20 * f if width == 4 else 20 * h + 10 * f) + 16 + scores
    norm = 12 if width == 4 else 8  # input in fp32, normed, scaled
    kept = 2 * norm * h + 8 + 4 * width * f
    if shape.head_norms:
        kept += norm * (shape.queries + shape.keys) + 4 * (shape.heads + shape.kv_heads)
    if fused:
        return kept + 2 * width * (shape.queries + shape.keys) + 4 * shape.heads
    return kept + 4 * width * shape.queries + scores


def adapter(shape: Shape, rank: int, width: int, adapter_width: int = 4) -> int:
    """Bytes a token that low-rank matrices keep more in one block: what lies between the two, and
    their inputs, copied where they are of another type. Frozen weights keep none of theirs.

    Args:
        adapter_width: bytes of the low-rank matrices' type.
    """
    kept = adapter_width * rank * len(shape.matrices) - 2 * width * shape.hidden
    if adapter_width != width:
        inputs = sum(rows for rows, _ in shape.matrices)
        kept += adapter_width * inputs - width * (2 * shape.hidden + shape.intermediate)
    return kept


def whole(
    shape: Shape,
    context: int,
    width: int,
    *,
    fused: bool = True,
    checkpointing: bool = False,
    rank: int = 0,
    adapter_width: int = 4,
) -> int:
    """Bytes a token over all blocks at the peak, which is where the loss begins.

    With checkpointing only each block's input is kept, and one block at a time is computed again.
    Where scores are kept, their gradients stand beside those of one block.
    """
    block = layer(shape, context, width, fused=fused)
    block += adapter(shape, rank, width, adapter_width) if rank else 0
    work = 0 if fused and shape.gated else 4 * context * shape.heads
    if checkpointing:
        return shape.layers * width * shape.hidden + block + work
    return shape.layers * block + work


def loss(
    shape: Shape, tokens: int, width: int, chunk: int | None = None, *, head: bool = True
) -> int:
    """Bytes that the loss takes at its peak.

    Args:
        tokens: of the micro-batch.
        chunk: logits at once (pretraining/losses.py), beside which stand the gradients of the
            hidden states and, where the head is trained, of its weights in fp32; none: all.
        head: whether the head is trained.
    """
    outputs = shape.vocabulary if shape.outputs is None else shape.outputs
    if chunk is None:
        return LOGIT_BYTES * tokens * outputs
    gradients = width * tokens * shape.hidden + (4 * shape.head if head else 0)
    return LOGIT_BYTES * min(chunk, tokens * outputs) + gradients
