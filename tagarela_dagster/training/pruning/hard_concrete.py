"""Hard-concrete masks: a number in [0, 1] for each unit, exactly 0 or 1 with some probability.

Louizos et al., arXiv 1712.01312, section 2.2: a concrete variable, stretched over (LOW, HIGH) and
cut to [0, 1], so that how likely a unit stays has a gradient. Constants and the deterministic mask
as in princeton-nlp/LLM-Shearing, llmshearing/models/l0_module.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LOW, HIGH = -0.1, 1.1
"""Ends of the stretched interval."""
TEMPERATURE = 2 / 3
EPSILON = 1e-6
START = 5.0
"""Mean of the logits at the start, at which all units stay; they spread by 0.01 around it."""
LIMIT = math.log(100)
"""Logits are kept within this of 0, so that none is lost for good."""
SHARPNESS = 0.8
"""Of the deterministic mask."""


def sample(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A mask of the shape of ``logits``, float32.

    Args:
        generator: on the CPU, so that every device draws the same.
    """
    import torch

    drawn = torch.rand(logits.shape, generator=generator).clamp(EPSILON, 1 - EPSILON)
    noise = torch.logit(drawn).to(logits.device)
    stretched = torch.sigmoid((noise + logits.float()) / TEMPERATURE) * (HIGH - LOW) + LOW
    return stretched.clamp(0, 1)


def stay(logits: torch.Tensor) -> torch.Tensor:
    """Probability that a unit's mask is not 0, of the shape of ``logits``."""
    import torch

    removed = torch.sigmoid(math.log(-LOW / HIGH) * TEMPERATURE - logits.float())
    return 1 - removed.clamp(EPSILON, 1 - EPSILON)


def deterministic(logits: torch.Tensor, kept: int | None = None) -> torch.Tensor:
    """The mask without noise: the weakest units of each row are 0, the others keep their value.

    Args:
        logits: (..., units).
        kept: units of a row that are not 0; none means as many as are expected to stay.
    """
    import torch

    logits = logits.detach().float()
    mask = torch.sigmoid(logits / TEMPERATURE * SHARPNESS)
    counts = stay(logits).sum(-1, keepdim=True).round()
    if kept is not None:
        counts = torch.full_like(counts, kept)
    # Stable, so that a tie keeps the first on every device.
    order = torch.argsort(mask, dim=-1, descending=True, stable=True)
    place = torch.argsort(order, dim=-1)
    return torch.where(place < counts, mask, 0.0)
