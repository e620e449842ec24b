"""Merging sections: one model out of several of one shape."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tagarela_dagster.recipe.stage import Stage


class Average(Stage):
    """Mean of a run's last checkpoints."""

    kind: Literal["average"] = "average"
    parent: str = "pretrain"
    last: int = Field(default=3, ge=2)
    """Checkpoints that are averaged."""

    @property
    def parents(self) -> tuple[str, ...]:
        """The stage whose checkpoints they are."""
        return (self.parent,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The run, and held-out text that decides whether the mean is kept."""
        return (*self.parents, "held_out")


class Merge(Stage):
    """Models of one shape merged into one."""

    kind: Literal["merge"] = "merge"
    models: dict[str, float]
    """Stage -> weight."""
    method: Literal["linear", "slerp", "ties"] = "linear"
    """``slerp`` takes two models, ``ties`` (arXiv 2306.01708) a common ``origin``."""
    origin: str | None = None
    """``ties``: the model that the others were trained from."""
    density: float = Field(default=0.2, gt=0, le=1)
    """``ties``: share of each model's largest differences that is kept."""

    @model_validator(mode="after")
    def _fits(self) -> Merge:
        if len(self.models) < 2 or (self.method == "slerp" and len(self.models) != 2):
            raise ValueError(f"{self.method} of {len(self.models)} models: name two (or more)")
        if (self.method == "ties") != (self.origin is not None):
            raise ValueError("ties, and nothing else, needs an origin")
        return self

    @property
    def parents(self) -> tuple[str, ...]:
        """The merged models, and their origin."""
        return tuple(dict.fromkeys((*self.models, *((self.origin,) if self.origin else ()))))

    @property
    def reads(self) -> tuple[str, ...]:
        """The models, and held-out text that decides whether the merge is kept."""
        return (*self.parents, "held_out")
