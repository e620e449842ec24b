"""Stages as sums: the shape that each trains, its steps, tokens and operations.

Data that are not here (a file behind an environment variable) leave steps unknown, which is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tagarela_dagster.corpus.sources.discover import SourceError, source_folder
from tagarela_dagster.recipe.adaptation import Base, Surgery
from tagarela_dagster.recipe.alignment import Grpo, Preference, Reward, Tuned
from tagarela_dagster.recipe.model import Recipe
from tagarela_dagster.recipe.pretraining import Pretrain
from tagarela_dagster.recipe.pruning import Distill, Prune
from tagarela_dagster.recipe.stage import Distributed, Stage
from tagarela_dagster.training.cost import flops
from tagarela_dagster.training.cost.room import PAIRED, adapted
from tagarela_dagster.training.cost.shape import (
    Shape,
    UnknownShape,
    model_shape,
    named_shape,
)


@dataclass
class Work:
    """What a stage has to do.

    Attributes:
        shape: of the model that it leaves; None where it cannot be told.
        trains: of the model that it works on (larger than ``shape`` for pruning).
        context: tokens of a sequence.
        steps, tokens: none where the data are not here. Tokens of tuning are an upper bound: each
            sequence is counted at ``max_length``.
        flops: a token, with the forward passes of other models.
        beside: parameters of frozen models that are held too.
    """

    name: str
    stage: Stage
    shape: Shape | None = None
    trains: Shape | None = None
    context: int = 0
    steps: int | None = None
    tokens: int | None = None
    flops: int = 0
    beside: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def trained(self) -> int | None:
        """Parameters that are trained."""
        if self.trains is None or not isinstance(self.stage, Distributed):
            return None
        method, rank = adapted(self.stage)
        full = method == "full"
        return self.trains.parameters if full else flops.adapter_parameters(self.trains, rank)


def works(recipe: Recipe) -> dict[str, Work]:
    """Every stage of a recipe, after its parents."""
    found: dict[str, Work] = {}
    for name, stage in recipe.training.in_order.items():
        work = Work(name, stage)
        try:
            work.shape = _shape(recipe, stage, found)
        except UnknownShape as error:
            work.problems.append(str(error))
        if isinstance(stage, Distributed):
            parent = found[stage.parents[0]].shape if stage.parents else work.shape
            work.trains = parent if isinstance(stage, Prune) else work.shape
            if isinstance(stage, Reward) and work.shape is not None:
                work.trains = work.shape.with_outputs(1)
            _measure(recipe, work, found)
        found[name] = work
    return found


def vocabulary(recipe: Recipe) -> int | None:
    """Size of the vocabulary that the mixture's tokens have; None where the base is not known."""
    tokenizer = recipe.tokens.tokenizer
    if tokenizer.kind != "base":
        return tokenizer.vocabulary
    base = recipe.training.base
    try:
        return None if base is None else _base_shape(base, tokenizer.vocabulary).vocabulary
    except UnknownShape:
        return None


def _base_shape(base: Base, vocabulary: int) -> Shape:
    if base.made is not None:
        return model_shape(base.made, vocabulary)
    return named_shape(str(base.model))


def _shape(recipe: Recipe, stage: Stage, found: dict[str, Work]) -> Shape | None:
    """Shape of the model that a stage leaves."""
    own = recipe.tokens.tokenizer.vocabulary
    if isinstance(stage, Base):
        return _base_shape(stage, own)
    if isinstance(stage, Pretrain) and stage.parent is None:
        return model_shape(recipe.training.model, vocabulary(recipe) or own)
    parent = found[stage.parents[0]].shape
    if parent is None:
        raise UnknownShape(f"{stage.parents[0]}, which it starts from, has no known shape")
    if isinstance(stage, Surgery):
        return parent.with_vocabulary(own)
    if isinstance(stage, Prune):
        return parent.pruned(stage.target)
    return parent


def _measure(recipe: Recipe, work: Work, found: dict[str, Work]) -> None:
    """Steps, tokens and operations of a stage that trains."""
    stage, shape = work.stage, work.trains
    if isinstance(stage, Pretrain | Prune):
        work.context = recipe.training.model.context
        work.steps = stage.steps
        work.tokens = stage.sequences * work.context
    elif isinstance(stage, Tuned):
        work.context = stage.max_length
        work.steps = stage.steps or _epochs(work, stage)
        if work.steps is not None:
            per_item = 2 if isinstance(stage, PAIRED) else 1
            work.tokens = work.steps * stage.step_sequences * per_item * work.context
            work.notes.append(
                f"{work.name}: at most, with every sequence of max_length ({work.context})"
            )
    if shape is None:
        return
    method, rank = adapted(stage)
    work.flops = flops.training(shape, work.context, method, rank)
    _others(work, stage, found)
    _check(recipe, work, shape)


def _others(work: Work, stage: Stage, found: dict[str, Work]) -> None:
    """Forward passes of other models, and the models."""
    assert work.trains is not None
    once = flops.forward(work.trains, work.context)
    if isinstance(stage, Distill):
        teacher = found[stage.teacher].shape
        if teacher is None:
            work.problems.append(f"the shape of its teacher {stage.teacher} is unknown")
            return
        work.flops += flops.forward(teacher, work.context)
        work.beside = teacher.parameters
        work.notes.append(f"{work.name}: with the teacher's forward pass")
    reference = isinstance(stage, Preference) or (isinstance(stage, Grpo) and stage.beta > 0)
    if reference:
        work.flops += once
        work.beside = work.trains.parameters if adapted(stage)[0] == "full" else 0
        work.notes.append(f"{work.name}: with the reference's forward pass")
    if isinstance(stage, Grpo):
        work.flops += once
        work.notes.append(
            f"{work.name}: answers are sampled token by token, which is far slower than the "
            "operations say; the hours leave that out"
        )


def _check(recipe: Recipe, work: Work, shape: Shape) -> None:
    """What cannot work: a context or a vocabulary that the model does not have."""
    if work.context > shape.context:
        work.problems.append(
            f"its sequences have {work.context} tokens, the model goes to {shape.context}"
        )
    mixed = vocabulary(recipe)
    if work.stage.sequences and mixed is not None and mixed != shape.vocabulary:
        work.problems.append(
            f"the mixture's tokenizer has {mixed} tokens, the model {shape.vocabulary}: set "
            "tokens.tokenizer.kind to base, or transplant the vocabulary (kind: surgery)"
        )


def _epochs(work: Work, stage: Tuned) -> int | None:
    """Steps of ``epochs``; None when the data are not here."""
    try:
        path = source_folder(stage.data)
        with path.open("rb") as file:
            items = sum(1 for line in file if line.strip())
    except (SourceError, OSError):
        work.notes.append(f"{work.name}: {stage.data} is not here, so its steps are unknown")
        return None
    return math.ceil(stage.epochs * items / stage.step_sequences) if stage.epochs else None
