"""Learning rate at a step, a pure function of the step: a resumed run needs no scheduler state.

Continual pretraining (arXiv 2308.04014, 2403.08763) re-warms and re-decays: that is any schedule
here in a stage with a parent. Its replay is the weight of the old sources in the mixture.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tagarela_dagster.recipe.pretraining import Decay, Pretrain

SHAPES: dict[Decay, Callable[[float], float]] = {
    "linear": lambda done: 1 - done,
    # arXiv 2405.18392 (section 3): better than linear and cosine at equal steps.
    "one_sqrt": lambda done: 1 - math.sqrt(done),
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}
"""What is left of a decay's height when a share of its steps is done: from 1 at 0 to 0 at 1."""


def learning_rate(step: int, section: Pretrain, peak: float | None = None) -> float:
    """Learning rate of step ``step`` (from 0).

    Warm-up rises linearly to the peak, which its last step has. Then, down to a floor of
    ``min_learning_rate_share`` of the peak, which the last step has:

    - ``cosine`` (arXiv 1608.03983, one cycle) and ``linear`` decay all the way;
    - ``cosine_restarts``: ``restarts`` cycles, each from the peak (transformers,
      optimization.get_cosine_with_hard_restarts_schedule_with_warmup; GlórIA has 4);
    - ``wsd``: the peak, then ``decay_steps`` of the shape ``decay`` (arXiv 2404.06395, 2405.18392);
    - ``infinite`` (arXiv 2403.08763, section 7.2, whose last part is exponential): a cosine to
      ``constant_share`` of the peak in ``cooldown_steps``, that rate, then the shape ``decay``;
    - ``constant``: the peak throughout.

    Args:
        peak: highest rate, without one the section's; Muon's matrices have their own.
    """
    return (section.learning_rate if peak is None else peak) * _share(step + 1, section)


def _share(done: int, section: Pretrain) -> float:
    """Share of the peak at the ``done``-th step."""
    if done <= section.warmup_steps:
        return done / section.warmup_steps
    if section.schedule == "constant":
        return 1.0
    left = section.steps - section.warmup_steps
    progress = min(1.0, (done - section.warmup_steps) / left)
    if section.schedule in ("cosine", "linear"):
        return _between(1.0, _floor(section), SHAPES[section.schedule](progress))
    if section.schedule == "cosine_restarts":
        # The end is that of the last cycle, and not the start of another.
        cycle = section.restarts * progress % 1.0 if progress < 1 else 1.0
        return _between(1.0, _floor(section), SHAPES["cosine"](cycle))
    level = 1.0
    if section.schedule == "infinite":
        cooled = done - section.warmup_steps
        level = section.constant_share
        if cooled < section.cooldown_steps:
            return _between(1.0, level, SHAPES["cosine"](cooled / section.cooldown_steps))
    decayed = done - (section.steps - section.decay_steps)
    if decayed <= 0:
        return level
    return _between(level, _floor(section), SHAPES[section.decay](decayed / section.decay_steps))


def _between(high: float, low: float, left: float) -> float:
    return low + (high - low) * left


def _floor(section: Pretrain) -> float:
    return section.min_learning_rate_share
