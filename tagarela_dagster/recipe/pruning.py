"""Pruning sections: a smaller model cut out of a larger one, or taught by it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tagarela_dagster.recipe.pretraining import Pretrain
from tagarela_dagster.recipe.shape import Target
from tagarela_dagster.recipe.stage import Distributed


class Prune(Distributed):
    """Structured pruning to a target shape with learned masks (LLM-Shearing, arXiv 2310.06694)."""

    kind: Literal["prune"] = "prune"
    parent: str = "pretrain"
    target: Target
    steps: int = Field(default=3200, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    mask_learning_rate: float = Field(default=1.0, gt=0)
    """Of masks and Lagrange multipliers."""
    sparsity_warmup_steps: int = Field(default=640, ge=0)
    """Steps until the whole sparsity is asked for."""
    warmup_steps: int = Field(default=320, ge=0)
    clip: float = Field(default=1.0, gt=0)
    reweight_every: int = Field(default=50, ge=0)
    """Steps between changes of the domains' shares (dynamic batch loading); 0 leaves them."""

    @property
    def parents(self) -> tuple[str, ...]:
        """The model that is pruned."""
        return (self.parent,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The model and the mixture."""
        return ("mixture", "tokenizer", *self.parents)

    @property
    def sequences(self) -> int:
        """Steps times batch."""
        return self.steps * self.step_sequences


class Distill(Pretrain):
    """Training on a larger model's next-token distributions beside the text itself."""

    kind: Literal["distill"] = "distill"  # type: ignore[assignment]
    parent: str | None = "pretrain"
    """The student; none starts from random weights of ``training.model``'s shape."""
    teacher: str
    """Stage (or ``base``) whose logits are learned; it has the same vocabulary."""
    temperature: float = Field(default=1.0, gt=0)
    weight: float = Field(default=0.5, ge=0, le=1)
    """Of the divergence from the teacher; the rest is on the text (arXiv 1503.02531)."""

    @property
    def parents(self) -> tuple[str, ...]:
        """Student and teacher."""
        return tuple(dict.fromkeys((*super().parents, self.teacher)))
