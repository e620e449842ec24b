"""Stability: which steps are spikes, judged by the steps before them.

The rule is OLMo-core's (allenai/OLMo-core, src/olmo_core/optim/skip_step_optimizer.py): a step is
left out when its loss or the norm of its gradients lies more than ``sigma`` standard deviations
from the mean of the last 128 steps, and none before there are ``max(20, 128 // 2)`` of them. Two
things differ. Only what lies above is a spike, as a sudden good step harms nothing; and a step that
was left out is not among those that later ones are compared with, so that a spike of many steps
does not become the measure. What then would never end is stopped: ``max_skipped``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from tagarela_dagster.recipe.pretraining import Stability
from tagarela_dagster.training.launching.failure import TrainingError

SKIPPED = "skipped"
"""Field of a line of metrics: why the step was left out."""
JUDGED = {"loss": "loss", "gradient_norm": "gradient norm"}
MIN_HISTORY = 20


class Guard:
    """Judges steps in order.

    What it says of a step is a function of the lines of metrics before it and nothing else: a
    resumed run, which reads them back, judges as the undisturbed one.

    Args:
        rows: lines of metrics of the steps that are done, oldest first.
    """

    def __init__(self, section: Stability, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.section = section
        self._kept: deque[tuple[float, ...]] = deque(maxlen=section.window)
        self._in_a_row = 0
        for row in rows:
            self._note(tuple(row[name] for name in JUDGED), SKIPPED in row)

    def judge(self, step: int, loss: float, gradient_norm: float) -> str | None:
        """Why step ``step`` (from 1) is a spike, or None.

        With ``skip_spikes`` the caller leaves out such a step and writes the answer to its line
        of metrics as SKIPPED; without it, the answer is only to be known.

        Raises:
            TrainingError: too many steps in a row were left out.
        """
        values = (loss, gradient_norm)
        reason = self._reason(values)
        skipped = reason is not None and self.section.skip_spikes
        self._note(values, skipped)
        if self._in_a_row > self.section.max_skipped:
            raise TrainingError(
                f"{self.section.max_skipped} steps before step {step} were left out as spikes, and "
                f"this is one too ({reason}): the run is at another level. Lower learning_rate or "
                "look at the sequences of these steps; if the level is right, raise "
                f"stability.sigma ({self.section.sigma:g}) or turn off stability.skip_spikes"
            )
        return reason

    @property
    def needed(self) -> int:
        """Kept steps before the first one that is judged."""
        window = self.section.window
        return min(window, max(MIN_HISTORY, window // 2) - 1)

    def _reason(self, values: tuple[float, ...]) -> str | None:
        if len(self._kept) < self.needed:
            return None
        for i, (name, value) in enumerate(zip(JUDGED.values(), values, strict=True)):
            mean, deviation = _mean_and_deviation([kept[i] for kept in self._kept])
            if deviation > 0 and value > mean + self.section.sigma * deviation:
                return (
                    f"{name} {value:.4g} is {(value - mean) / deviation:.1f} standard deviations "
                    f"({deviation:.3g}) above the mean ({mean:.4g}) of {len(self._kept)} steps"
                )
        return None

    def _note(self, values: tuple[float, ...], skipped: bool) -> None:
        if skipped:
            self._in_a_row += 1
        else:
            self._in_a_row = 0
            self._kept.append(values)


def _mean_and_deviation(values: list[float]) -> tuple[float, float]:
    """Mean and the sample's standard deviation, in sums that do not depend on the order."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
