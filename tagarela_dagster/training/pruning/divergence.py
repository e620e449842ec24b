"""Divergence from a teacher, without the logits of all tokens of two models in memory at once.

As pretraining/losses.py does for the text alone: both heads' products, the loss and its gradient
are taken over a few tokens at a time. For logits z of the student and u of the teacher at one
token (Hinton et al., arXiv 1503.02531, section 2),

    (1 - w) CE(softmax z, text) + w T^2 KL(softmax(u / T) || softmax(z / T))

T^2 keeps the size of the gradient whatever the temperature.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.pretraining.data import IGNORED
from tagarela_dagster.training.pretraining.losses import CHUNK

if TYPE_CHECKING:
    import torch


def distilled(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    teacher_hidden: torch.Tensor,
    teacher_head: torch.nn.Linear,
    *,
    share: float,
    temperature: float = 1.0,
    z_loss: float = 0.0,
    chunk: int = CHUNK,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed objective, and (detached) the sums of cross-entropy and divergence, (2,); fp32.

    Args:
        hidden: (tokens, width), the student's; weight: (vocabulary, width); bias: or none.
        targets: (tokens,); at IGNORED ones nothing counts, nor the divergence.
        teacher_hidden: (tokens, its width), of the same tokens.
        share: of the divergence.
        z_loss: weight of the squared logarithm of the softmax's denominator, beside the rest.
        chunk: logits at once, of each model.
    """
    settings = (teacher_hidden, teacher_head, share, temperature, z_loss, chunk)
    return _function().apply(hidden, weight, bias, targets, settings)


@functools.cache
def _function() -> Any:
    """The differentiable function, made where torch is loaded."""
    import torch
    from torch.nn.functional import linear

    class Distilled(torch.autograd.Function):
        """Takes the gradients in the forward pass, where each chunk's logits are at hand."""

        @staticmethod
        def forward(
            ctx: Any,
            hidden: torch.Tensor,
            weight: torch.Tensor,
            bias: torch.Tensor | None,
            targets: torch.Tensor,
            settings: tuple[Any, ...],
        ) -> tuple[torch.Tensor, torch.Tensor]:
            teacher_hidden, teacher_head, share, temperature, z_loss, chunk = settings
            for_hidden, for_weight, for_bias = ctx.needs_input_grad[:3]
            fp32: dict[str, Any] = {"dtype": torch.float32, "device": hidden.device}
            sums, penalty = torch.zeros(2, **fp32), torch.zeros((), **fp32)
            d_hidden = torch.empty_like(hidden) if for_hidden else None
            d_weight = torch.zeros(weight.shape, **fp32) if for_weight else None
            d_bias = torch.zeros(len(weight), **fp32) if for_bias else None
            rows = max(1, chunk // len(weight))
            for first in range(0, len(targets), rows):
                part = slice(first, first + rows)
                h, t = hidden[part], targets[part]
                counted = (t != IGNORED).float()
                index = t.clamp(min=0)[:, None]
                logits = linear(h, weight, bias).float()
                norm = logits.logsumexp(-1)
                sums[0] += ((norm - logits.gather(1, index)[:, 0]) * counted).sum()
                penalty += z_loss * (norm.square() * counted).sum()
                told = teacher_head(teacher_hidden[part]).float()
                teacher = (told / temperature).log_softmax(-1)
                student = (logits / temperature).log_softmax(-1)
                sought = teacher.exp()
                sums[1] += ((sought * (teacher - student)).sum(-1) * counted).sum()
                if not (for_hidden or for_weight or for_bias):
                    continue
                slope = student.exp_().sub_(sought).mul_(share * temperature)
                text = logits.sub_(norm[:, None]).exp_()
                slope += text * (1 - share + 2 * z_loss * norm)[:, None]
                slope.scatter_add_(1, index, torch.full_like(index, share - 1, dtype=slope.dtype))
                slope = slope.mul_(counted[:, None]).to(h.dtype)
                if d_hidden is not None:
                    torch.mm(slope, weight, out=d_hidden[part])
                if d_weight is not None:
                    d_weight += slope.T @ h
                if d_bias is not None:
                    d_bias += slope.sum(0)
            ctx.gradients = (d_hidden, d_weight, d_bias)
            ctx.dtype = weight.dtype
            ctx.mark_non_differentiable(sums)
            objective = (1 - share) * sums[0] + share * temperature**2 * sums[1] + penalty
            return objective, sums

        @staticmethod
        def backward(ctx: Any, *slopes: torch.Tensor) -> Any:
            slope = slopes[0]
            d_hidden, d_weight, d_bias = ctx.gradients
            ctx.gradients = None
            if d_hidden is not None:
                d_hidden = d_hidden.mul_(slope.to(d_hidden.dtype))
            if d_weight is not None:
                d_weight = d_weight.mul_(slope).to(ctx.dtype)
            if d_bias is not None:
                d_bias = d_bias.mul_(slope).to(ctx.dtype)
            return d_hidden, d_weight, d_bias, None, None

    return Distilled
