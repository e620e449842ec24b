"""Pruning sections: a smaller model cut out of a larger one, or taught by it."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from tagarela_dagster.recipe.pretraining import Pretrain
from tagarela_dagster.recipe.shape import Target


class Prune(Pretrain):
    """Structured pruning to a target shape with learned masks (LLM-Shearing, arXiv 2310.06694).

    Defaults: princeton-nlp/LLM-Shearing, llmshearing/scripts/pruning.sh and configs/llama2/7b.yaml.
    """

    kind: Literal["prune"] = "prune"  # type: ignore[assignment]
    parent: str = "pretrain"  # type: ignore[mutable-override, unused-ignore]
    target: Target
    steps: int = Field(default=3200, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    warmup_steps: int = Field(default=320, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    mask_learning_rate: float = Field(default=1.0, gt=0)
    """Peak of masks and Lagrange multipliers; it follows the schedule of the other."""
    sparsity_warmup_steps: int = Field(default=640, ge=0)
    """Steps until the whole sparsity is asked for."""
    reweight_every: int = Field(default=50, ge=0)
    """Steps between changes of the sources' shares (dynamic batch loading); 0 leaves them."""
    reserve: float = Field(default=2.0, ge=1)
    """Where shares change: sequences set aside for each one that is trained on, so that a source
    can take more than its part."""
    probe_sequences: int = Field(default=64, ge=1)
    """Where shares change: sequences of each source, at most, that losses are measured on and that
    are never trained on."""

    @model_validator(mode="after")
    def _fits_masks(self) -> Prune:
        if self.method != "full":
            raise ValueError(f"method {self.method}: masks are learned with all weights, say full")
        if self.optimizer != "adamw":
            raise ValueError(f"optimizer {self.optimizer}: masks are learned with adamw")
        if self.ramp is not None or self.compile:
            raise ValueError("pruning has neither ramp nor compile: leave them out")
        return self

    @property
    def reweights(self) -> bool:
        """Whether the sources' shares ever change."""
        return 0 < self.reweight_every < self.steps

    @property
    def sequences(self) -> int:
        """Steps times batch, and the reserve."""
        trained = self.steps * self.step_sequences
        return math.ceil(trained * self.reserve) if self.reweights else trained


class Distill(Pretrain):
    """Training on a larger model's next-token distributions beside the text itself."""

    kind: Literal["distill"] = "distill"  # type: ignore[assignment]
    parent: str | None = "pretrain"
    """The student; none starts from random weights of ``training.model``'s shape."""
    teacher: str
    """Stage (or ``base``) whose logits are learned; it has the same vocabulary."""
    temperature: float = Field(default=1.0, gt=0)
    """Both distributions are softened by it; the divergence is multiplied by its square."""
    weight: float = Field(default=0.5, ge=0, le=1)
    """Of the divergence from the teacher; the rest is on the text (arXiv 1503.02531)."""
    teacher_precision: Literal["fp32", "bf16"] = "bf16"

    @property
    def parents(self) -> tuple[str, ...]:
        """Student and teacher."""
        return tuple(dict.fromkeys((*super().parents, self.teacher)))
