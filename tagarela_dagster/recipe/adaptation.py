"""Adaptation sections: the base model, its new vocabulary, and how the result is given away."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from tagarela_dagster.recipe.shape import Model
from tagarela_dagster.recipe.stage import BASE, Precision, Stage


class Base(Stage):
    """A model that somebody else made, pinned as the asset ``base``."""

    kind: Literal["base"] = "base"
    model: str | None = None
    """Folder in Hugging Face layout, or a name on the hub (``organisation/name``)."""
    revision: str | None = None
    """Commit on the hub; required for a name, so that the same recipe gives the same model."""
    made: Model | None = None
    """In place of ``model``: random weights of this shape with a small tokenizer of their own, for
    ``--scale tiny`` and tests. Where both are given, ``made`` wins."""

    @model_validator(mode="after")
    def _something(self) -> Base:
        if self.model is None and self.made is None:
            raise ValueError("training.base needs `model` (a folder or a hub name) or `made`")
        return self

    @property
    def files(self) -> dict[str, str]:
        """None: the asset pins its files by hash itself."""
        return {}

    def as_json(self) -> dict[str, Any]:
        """Fingerprinted form."""
        return self.model_dump(mode="json")


class Surgery(Stage):
    """The graph's tokenizer transplanted into a model: a new vocabulary, the same layers."""

    kind: Literal["surgery"] = "surgery"
    parent: str = BASE
    method: Literal["overlap", "omp", "random"] = "overlap"
    """A token that both have keeps its embedding. Another starts, with ``overlap``, from the mean
    of the pieces that the parent's tokenizer cuts it into; with ``omp`` as a sparse combination
    of the parent's tokens (orthogonal matching pursuit, after arXiv 2506.06607; the space it is
    sought in is described in training/adaptation/pursuit.py); with ``random`` from a normal
    distribution, as a point of comparison."""
    neighbours: int = Field(default=8, ge=1)
    """``omp``: tokens in a combination, at most."""

    @property
    def parents(self) -> tuple[str, ...]:
        """The model that is operated on."""
        return (self.parent,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The model, the new tokenizer, and held-out text to measure fertility on."""
        return (*self.parents, "tokenizer", "held_out")


class Release(Stage):
    """A stage's model as it is given away."""

    kind: Literal["release"] = "release"
    parent: str
    forms: tuple[Literal["merged", "adapter", "delta"], ...] = ("merged",)
    """``merged``: a model folder; ``adapter``: the parent's LoRA matrices; ``delta``: differences
    to the base's weights, which ``tagarela apply-delta`` adds again."""
    precision: Precision = "bf16"
    """Type of the merged weights and of the delta."""
    tolerance: float = Field(default=1e-3, gt=0)
    """Largest difference of a logit between adapter and merged model, in fp32."""
    rounding_tolerance: float = Field(default=1e-2, gt=0)
    """Largest mean divergence of the next-token distributions (Kullback-Leibler, nats a token)
    that rounding the weights to bf16 may cause."""
    license: str = "unknown"
    """Licence of what is released, as an SPDX name; the base's own is noted beside it."""

    @property
    def parents(self) -> tuple[str, ...]:
        """The stage whose model it is."""
        return (self.parent,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The model, and the base that a delta is taken against."""
        return tuple(dict.fromkeys((*self.parents, *((BASE,) if "delta" in self.forms else ()))))
