"""Pretraining section: next-token training on the mixture, from nothing or from a model."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.stage import Distributed, Lora, Method

Schedule = Literal["cosine", "cosine_restarts", "linear", "wsd", "infinite", "constant"]
Decay = Literal["linear", "one_sqrt", "cosine"]


class Muon(Section):
    """Muon for the matrices of hidden layers, AdamW for the rest.

    Defaults: kellerjordan.github.io/posts/muon, github.com/KellerJordan/Muon, muon.py.
    """

    learning_rate: float = Field(default=0.02, gt=0, le=1)
    """Peak of the matrices' own rate; it follows the schedule of the other."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    newton_schulz_steps: int = Field(default=5, ge=1, le=10)


class Ramp(Section):
    """Batch-size ramp: the batch grows linearly to its full size."""

    start: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Share of the full batch at the first step; rounded to whole sequences of every rank."""
    steps: int = Field(ge=1)
    """Steps until the batch is full."""


class Stability(Section):
    """What is done when training goes astray."""

    skip_spikes: bool = False
    """Leave out a step whose loss or gradient norm is a spike (allenai/OLMo-core,
    src/olmo_core/optim/skip_step_optimizer.py); the batch is recorded in metrics."""
    sigma: float = Field(default=6.0, gt=0)
    """Standard deviations above the mean of the window."""
    window: int = Field(default=128, ge=2)
    """Steps that mean and deviation are taken over."""
    max_skipped: int = Field(default=20, ge=1)
    """Steps left out in a row after which training stops: that is no spike, but another level."""


class Pretrain(Distributed):
    """Pretraining with DeepSpeed ZeRO under torchrun."""

    # What the dial comes to is fingerprinted.
    EXECUTION: ClassVar[frozenset[str]] = Distributed.EXECUTION | {"tokens_per_parameter"}

    kind: Literal["pretrain"] = "pretrain"
    parent: str | None = None
    """Model that it starts from: ``base``, or a stage; none starts from random weights of
    ``training.model``'s shape."""
    method: Method = "full"
    lora: Lora = Lora()
    steps: int = Field(default=1000, ge=1)
    tokens_per_parameter: float | None = Field(default=None, gt=0)
    """Dial of the size ladder (ladder.py): steps, accumulation, learning_rate and warmup_steps
    follow, but those that are given; 20 is Chinchilla's."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    muon: Muon = Muon()
    learning_rate: float = Field(default=3e-4, gt=0, le=1)
    min_learning_rate_share: float = Field(default=0.1, ge=0, le=1)
    warmup_steps: int = Field(default=100, ge=0)
    schedule: Schedule = "cosine"
    restarts: int = Field(default=4, ge=1)
    """``cosine_restarts``: cycles."""
    decay: Decay = "linear"
    """``wsd`` and ``infinite``: shape of the last part."""
    decay_steps: int = Field(default=0, ge=0)
    """``wsd`` and ``infinite``: length of the last part."""
    cooldown_steps: int = Field(default=0, ge=0)
    """``infinite``: steps from the peak to the constant rate (arXiv 2403.08763, section 7)."""
    constant_share: float = Field(default=0.5, gt=0, le=1)
    """``infinite``: constant rate, as a share of the peak."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Not applied to norms, biases and embeddings."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    z_loss: float = Field(default=0.0, ge=0)
    """Weight of the squared logarithm of the softmax's denominator; 1e-5 in OLMo 2."""
    ramp: Ramp | None = None
    stability: Stability = Stability()

    @model_validator(mode="after")
    def _consistent(self) -> Pretrain:
        if self.parent is None and self.method != "full":
            raise ValueError(f"method {self.method} adapts a parent: give one, or method full")
        last = self.warmup_steps + self.cooldown_steps + self.decay_steps
        if self.schedule in ("wsd", "infinite") and last > self.steps:
            raise ValueError(
                f"warmup_steps, cooldown_steps and decay_steps are {last}, more than the "
                f"{self.steps} steps"
            )
        if self.schedule == "wsd" and not self.decay_steps:
            raise ValueError(
                "schedule wsd without decay_steps never decays: give 10 to 20% of the steps "
                "(arXiv 2405.18392), or say constant"
            )
        if self.schedule == "infinite" and self.constant_share < self.min_learning_rate_share:
            raise ValueError(
                f"constant_share ({self.constant_share:g}) is below min_learning_rate_share "
                f"({self.min_learning_rate_share:g}): the last part would rise"
            )
        return self

    @property
    def parents(self) -> tuple[str, ...]:
        """Its parent, if it has one."""
        return (self.parent,) if self.parent else ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The mixture with its tokenizer, and the parent."""
        return ("mixture", "tokenizer", *self.parents)

    @property
    def sequences(self) -> int:
        """Steps times batch, less what the ramp leaves out."""
        return (
            sum(self.batch(step) for step in range(self._ramped))
            + (self.steps - self._ramped) * self.step_sequences
        )

    def batch(self, step: int) -> int:
        """Sequences of step ``step`` (from 0): a multiple of what all ranks do at once."""
        if self.ramp is None or step >= self.ramp.steps:
            return self.step_sequences
        share = self.ramp.start + (1 - self.ramp.start) * step / self.ramp.steps
        return max(1, round(share * self.step_sequences))

    @property
    def _ramped(self) -> int:
        return min(self.steps, self.ramp.steps) if self.ramp else 0
