"""Rules by which tensors of several models become one: linear, SLERP, TIES. Pure functions.

All compute in fp32 and return fp32; shapes in and out are those of the tensor that is merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

COLINEAR = 0.9995
"""Cosine above which SLERP is linear: the sine that it divides by vanishes (arcee-ai/mergekit,
mergekit/merge_methods/slerp.py)."""


def linear(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weighted mean; with equal weights a model soup (arXiv 2203.05482)."""
    total = sum(weights)
    merged = tensors[0].float() * (weights[0] / total)
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        merged += tensor.float() * (weight / total)
    return merged


def slerp(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The point at ``weights[1] / sum(weights)`` of the arc from the first tensor to the second
    (Shoemake, SIGGRAPH 1985), each taken as one vector."""
    import torch

    first, second = (tensor.float() for tensor in tensors)
    norms = torch.linalg.vector_norm(first), torch.linalg.vector_norm(second)
    cosine = float((first * second).sum() / (norms[0] * norms[1]).clamp_min(1e-12))
    if abs(cosine) > COLINEAR:
        return linear(tensors, weights)
    share = weights[1] / sum(weights)
    angle = torch.arccos(torch.tensor(cosine))
    return (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * second) / torch.sin(
        angle
    )


def ties(
    tensors: Sequence[Tensor], weights: Sequence[float], origin: Tensor, density: float
) -> Tensor:
    """Trim, elect a sign, merge what agrees (TIES, arXiv 2306.01708, algorithm 1; per tensor).

    Args:
        origin: the model that the others were trained from.
        density: share of each model's differences, the largest, that is kept.
    """
    import torch

    base = origin.float()
    differences = torch.stack(
        [
            _largest(tensor.float() - base, density) * weight
            for tensor, weight in zip(tensors, weights, strict=True)
        ]
    )
    sign = torch.sign(differences.sum(0))
    agree = (torch.sign(differences) == sign) & (differences != 0)
    shape = (-1, *[1] * base.dim())
    share = (torch.tensor(weights, dtype=torch.float32).view(shape) * agree).sum(0)
    return base + (differences * agree).sum(0) / share.clamp_min(1e-12)


def _largest(difference: Tensor, density: float) -> Tensor:
    """``difference`` with all but its largest entries set to 0."""
    import torch

    keep = max(1, round(density * difference.numel()))
    if keep >= difference.numel():
        return difference
    kept = torch.zeros_like(difference).flatten()
    index = difference.abs().flatten().topk(keep).indices
    kept[index] = difference.flatten()[index]
    return kept.view_as(difference)
