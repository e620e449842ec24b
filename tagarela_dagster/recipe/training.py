"""Training section: from a mixture, or somebody's model, to models of one's own.

``pretrain`` is the first training; ``stages`` names all others, each an asset whose parents are
other stages, ``pretrain`` or ``base``.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from tagarela_dagster.recipe.adaptation import Base, Release, Surgery
from tagarela_dagster.recipe.alignment import Grpo, Preference, Reward, Sft
from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.merging import Average, Merge
from tagarela_dagster.recipe.pretraining import Pretrain
from tagarela_dagster.recipe.pruning import Distill, Prune
from tagarela_dagster.recipe.shape import Model
from tagarela_dagster.recipe.stage import BASE, Stage

__all__ = ["Model", "Pretrain", "Sft", "Training"]

PRETRAIN = "pretrain"
StageName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
AnyStage = Annotated[
    Pretrain
    | Sft
    | Preference
    | Reward
    | Grpo
    | Surgery
    | Prune
    | Distill
    | Average
    | Merge
    | Release,
    Field(discriminator="kind"),
]


class Training(Section):
    """From a mixture to a model."""

    model: Model = Model()
    base: Base | None = None
    pretrain: Pretrain = Pretrain()
    stages: dict[StageName, AnyStage] = {}

    @model_validator(mode="after")
    def _stages_stand_in_line(self) -> Training:
        if both := sorted({BASE, PRETRAIN} & set(self.stages)):
            raise ValueError(f"stages.{both[0]}: this name is taken, choose another")
        waiting = dict(self.all_stages)
        known: set[str] = set()
        while waiting:
            ready = [name for name, stage in waiting.items() if known >= set(stage.parents)]
            if not ready:
                raise ValueError(self._dangling(waiting))
            for name in ready:
                known.add(name)
                del waiting[name]
        return self

    def _dangling(self, waiting: dict[str, Stage]) -> str:
        for name, stage in waiting.items():
            for parent in stage.parents:
                if parent not in self.all_stages:
                    found = ", ".join(self.all_stages)
                    hint = "set training.base" if parent == BASE else f"known are {found}"
                    return f"{name} starts from {parent!r}, which is no stage: {hint}"
        return f"{', '.join(waiting)} start from each other in a circle"

    @property
    def all_stages(self) -> dict[str, Stage]:
        """Every training asset by name: base, pretrain, then the stages as they are written."""
        base = {BASE: self.base} if self.base else {}
        return {**base, PRETRAIN: self.pretrain, **self.stages}

    @property
    def in_order(self) -> dict[str, Stage]:
        """``all_stages``, each after its parents."""
        found: dict[str, Stage] = {}
        waiting = dict(self.all_stages)
        while waiting:
            name = next(n for n, stage in waiting.items() if set(stage.parents) <= set(found))
            found[name] = waiting.pop(name)
        return found

    @property
    def slices(self) -> dict[str, tuple[int, int]]:
        """Stage -> first and number of its sequences of the mixture: one after the other in
        order, so that no stage sees again what another has seen."""
        found, first = {}, 0
        for name, stage in self.in_order.items():
            if stage.sequences:
                found[name] = (first, stage.sequences)
                first += stage.sequences
        return found

    def section(self, name: str) -> dict[str, Any]:
        """What decides a training asset, apart from its inputs. Raises KeyError."""
        stage = self.all_stages[name]
        section: dict[str, Any] = {"stage": stage.as_json()}
        if stage.sequences:
            section["slice"] = list(self.slices[name])
        if isinstance(stage, Pretrain) and stage.parent is None:
            section["model"] = self.model.as_json()
        return section
