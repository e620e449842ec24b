"""Gate: stands before the optimizer's step and lets it pass, or not.

The norm of the whole gradient is known only when DeepSpeed has reduced it, within its own step,
which then clips and calls the optimizer. The gate takes the optimizer's place there: when a step
is to be left out, DeepSpeed goes through its step with an optimizer that does nothing, so weights
and optimizer state stay as they are, to the bit and in every ZeRO stage, and gradients are cleared
as after any other step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


class Gate:
    """The gate of one engine. To be made once, after ``deepspeed.initialize``."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        optimizer = engine.basic_optimizer
        self._pass = optimizer.step
        optimizer.step = self._step
        self._may_pass: Callable[[float], bool] = lambda norm: True
        self._unsharded: float | None = None
        self._decided: bool | None = None
        self._norm = math.nan
        if engine.optimizer is optimizer:
            # Stage 0 in fp32: DeepSpeed clips without telling the norm.
            engine.clip_fp32_gradients = self._clip

    def step(self, may_pass: Callable[[float], bool]) -> float:
        """Step the engine at the end of an accumulation.

        Args:
            may_pass: given the gradient norm before clipping, the same on every rank; whether the
                optimizer steps. What it raises ends the step before any weight has changed.

        Returns:
            The gradient norm; NaN when it is infinite or no number.
        """
        self._may_pass, self._decided = may_pass, None
        self._engine.step()
        if self._decided is None:
            # DeepSpeed leaves the step out itself when a gradient is no number.
            self._decide(math.nan)
        return self._norm

    def _step(self, closure: Any = None) -> Any:
        """In the place of the optimizer's step; ZeRO-3 calls it once a group of parameters."""
        if self._decided is None:
            if self._unsharded is not None:
                self._decide(self._unsharded)
            else:
                self._decide(float(self._engine.optimizer._global_grad_norm))
        return self._pass() if self._decided else None

    def _decide(self, norm: float) -> None:
        # DeepSpeed says -1 for a norm that is infinite or no number.
        self._norm = norm if math.isfinite(norm) and norm >= 0 else math.nan
        self._decided = self._may_pass(self._norm)

    def _clip(self) -> None:
        """Clip reduced gradients that DeepSpeed has not divided, and keep their norm."""
        import torch

        parameters = [p for p in self._engine.module.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        most = self._engine.gradient_clipping()
        torch.nn.utils.clip_grads_with_norm_(parameters, most, norm)
        self._unsharded = float(norm)
