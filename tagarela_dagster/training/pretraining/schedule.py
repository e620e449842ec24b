"""Learning rate at a step, a pure function of the step."""

from __future__ import annotations

import math

from tagarela_dagster.recipe.training import Pretrain


def learning_rate(step: int, section: Pretrain) -> float:
    """Learning rate of step ``step`` (from 0).

    Linear warm-up over ``warmup_steps``, then cosine (arXiv 1608.03983, one cycle) or linear decay
    to ``min_learning_rate_share`` of the peak at the last step, or the peak throughout.
    """
    peak = section.learning_rate
    if step < section.warmup_steps:
        return peak * (step + 1) / section.warmup_steps
    if section.schedule == "constant":
        return peak
    decay_steps = section.steps - section.warmup_steps
    progress = min(1.0, (step + 1 - section.warmup_steps) / decay_steps)
    left = 1 - progress if section.schedule == "linear" else (1 + math.cos(math.pi * progress)) / 2
    floor = section.min_learning_rate_share
    return peak * (floor + (1 - floor) * left)
