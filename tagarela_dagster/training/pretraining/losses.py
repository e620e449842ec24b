"""Losses: cross-entropy of next tokens without the logits of all tokens in memory at once.

With 50 thousand words in the vocabulary, the fp32 logits of 8 sequences of 2048 tokens are 3.3 GB,
and their gradient as much again. Here the head's product, the cross-entropy and its gradient are
taken over a few tokens at a time, as Liger Kernel (arXiv 2410.10989) does on GPUs, which is used
there where it is installed. The head's own forward is replaced, so that ZeRO-3 gathers its weights
as for any other layer.

A loss that the loop takes is a callable ``(engine, batch) -> (objective, sums)``: what to
differentiate, summed over the batch's predicted tokens, and what to report, summed likewise, with
the cross-entropy as ``loss``.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.pretraining.data import IGNORED, Batch

if TYPE_CHECKING:
    import torch

    Loss = Callable[[Any, Batch], tuple[torch.Tensor, dict[str, torch.Tensor]]]

CHUNK = 1 << 22
"""Logits at once, 16 MiB in fp32: less is slower, and more takes more memory without being faster
(benchmarks/training/cross_entropy.py)."""

logger = logging.getLogger(__name__)


class NextToken:
    """Cross-entropy and z-loss of a causal model on a packed batch.

    Args:
        model: its head (``get_output_embeddings``) computes losses from now on when it is called
            through this object, and logits when it is called otherwise.
        z_loss: weight of the squared logarithm of the softmax's denominator (arXiv 2204.02311,
            section 5).
    """

    def __init__(self, model: Any, z_loss: float = 0.0) -> None:
        import torch

        head = model.get_output_embeddings()
        if type(head) is not torch.nn.Linear:
            raise TrainingError(
                f"the head of {type(model).__name__} is a {type(head).__name__} and no plain "
                "linear layer: its logits cannot be taken apart"
            )
        self.head = head
        self.z_loss = z_loss
        self.flat = attention_of(model) == "flash_attention_2"
        self.chunked = _liger(z_loss) if _has_liger() else _chunked(z_loss)
        self._logits = head.forward
        self._targets: torch.Tensor | None = None
        self._ce: torch.Tensor | None = None
        head.forward = self._forward  # type: ignore[method-assign, assignment]

    def __call__(self, engine: Any, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Objective and sums of a batch that lies on the engine's device."""
        import torch.nn.functional as functional

        # The last token of a sequence predicts nothing.
        self._targets = functional.pad(batch.targets, (0, 1), value=IGNORED).flatten()
        tokens, positions = batch.tokens, batch.positions
        if self.flat:
            # Flash attention keeps documents apart by their positions only when there is a single
            # row (transformers 5.23, modeling_flash_attention_utils._is_packed_sequence).
            tokens, positions = tokens.reshape(1, -1), positions.reshape(1, -1)
        objective = engine(input_ids=tokens, position_ids=positions, use_cache=False).logits
        assert self._ce is not None
        ce, self._ce = self._ce, None
        sums = {"loss": ce}
        if self.z_loss:
            sums["z_loss"] = objective.detach() - ce
        return objective, sums

    def _forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if self._targets is None:
            return self._logits(hidden)
        targets, self._targets = self._targets, None
        objective, self._ce = self.chunked(
            hidden.flatten(0, -2), self.head.weight, self.head.bias, targets
        )
        return objective


def attention_of(model: Any) -> str:
    """Implementation of attention that a model was built with."""
    return model.config._attn_implementation


def cross_entropy(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    z_loss: float = 0.0,
    chunk: int = CHUNK,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed cross-entropy plus z-loss of a linear head, and the cross-entropy alone (detached).

    Both in fp32, as are the softmax and the sum of the head's gradients, whatever the weights are.

    Args:
        hidden: (tokens, width).
        weight: (vocabulary, width); bias: (vocabulary,) or none.
        targets: (tokens,); IGNORED ones count nothing.
        z_loss: weight of log(sum exp)^2.
        chunk: logits at once.
    """
    return _function().apply(hidden, weight, bias, targets, z_loss, chunk)


@functools.cache
def _function() -> Any:
    """The differentiable function, made where torch is loaded."""
    import torch

    class ChunkedCrossEntropy(torch.autograd.Function):
        """Takes the gradients in the forward pass, where each chunk's logits are at hand."""

        @staticmethod
        def forward(
            ctx: Any,
            hidden: torch.Tensor,
            weight: torch.Tensor,
            bias: torch.Tensor | None,
            targets: torch.Tensor,
            z_loss: float,
            chunk: int,
        ) -> tuple[torch.Tensor, torch.Tensor]:
            for_hidden, for_weight, for_bias = ctx.needs_input_grad[:3]
            fp32: Any = {"dtype": torch.float32, "device": hidden.device}
            sums = torch.zeros(2, **fp32)
            d_hidden = torch.empty_like(hidden) if for_hidden else None
            d_weight = torch.zeros(weight.shape, **fp32) if for_weight else None
            d_bias = torch.zeros(len(weight), **fp32) if for_bias else None
            rows = max(1, chunk // len(weight))
            for first in range(0, len(targets), rows):
                part = slice(first, first + rows)
                h, t = hidden[part], targets[part]
                counted = (t != IGNORED).float()
                index = t.clamp(min=0)[:, None]
                logits = torch.nn.functional.linear(h, weight, bias).float()
                norm = logits.logsumexp(-1)
                sums[0] += ((norm - logits.gather(1, index)[:, 0]) * counted).sum()
                if z_loss:
                    sums[1] += z_loss * (norm.square() * counted).sum()
                if not (for_hidden or for_weight or for_bias):
                    continue
                # d/dlogits of ce is softmax - onehot, of z-loss 2 z norm softmax.
                slope = logits.sub_(norm[:, None]).exp_()
                slope.mul_(((1 + 2 * z_loss * norm) * counted)[:, None])
                slope.scatter_add_(1, index, -counted[:, None])
                if d_bias is not None:
                    d_bias += slope.sum(0)
                slope = slope.to(h.dtype)
                if d_hidden is not None:
                    torch.mm(slope, weight, out=d_hidden[part])
                if d_weight is not None and h.dtype == torch.float32:
                    d_weight.addmm_(slope.T, h)
                elif d_weight is not None:
                    d_weight += slope.T @ h
            ctx.gradients = (d_hidden, d_weight, d_bias)
            ctx.dtype = weight.dtype
            objective, ce = sums.sum(), sums[0].clone()
            ctx.mark_non_differentiable(ce)
            return objective, ce

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
            return d_hidden, d_weight, d_bias, None, None, None

    return ChunkedCrossEntropy


def _chunked(z_loss: float) -> Any:
    return functools.partial(cross_entropy, z_loss=z_loss)


def _has_liger() -> bool:
    import torch

    found = torch.cuda.is_available() and importlib.util.find_spec("liger_kernel") is not None
    logger.info("cross-entropy: %s", "Liger's fused kernel" if found else "in chunks, by torch")
    return found


def _liger(z_loss: float) -> Any:
    """Liger's fused linear cross-entropy, with the arguments and answers of ``cross_entropy``."""
    import torch
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    fused = LigerFusedLinearCrossEntropyLoss(
        ignore_index=IGNORED,
        lse_square_scale=z_loss,
        reduction="sum",
        return_z_loss=bool(z_loss),
        accum_dtype=torch.float32,
    )

    def apply(hidden: Any, weight: Any, bias: Any, targets: Any) -> tuple[Any, Any]:
        found = fused(weight, hidden, targets, bias)
        if not z_loss:
            return found, found.detach()
        return found.loss, (found.loss - found.z_loss).detach()

    return apply
