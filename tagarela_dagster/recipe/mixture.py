"""Mixture section: what share of the training tokens each kind of text has, and when.

The unit is the (source, stratum): a source's documents, split by variety, quality tier and
licence as far as this section asks for it. docs/mixture.md says how shares become sequences.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tagarela_dagster.recipe.base import Section

By = Literal["tokens", "weights", "temperature"]
Factor = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Weight(Section):
    """A source's part in the mixture."""

    weight: float = Field(default=1.0, ge=0)
    """Relative weight; 0 leaves the source out."""
    max_epochs: float | None = Field(default=None, gt=0)
    """This source's own limit over the whole run; none means the mixture's."""
    epochs: float | None = Field(default=None, gt=0)
    """The source gives exactly these epochs (LLaMA, arXiv 2302.13971, table 1), spread evenly
    over the run; the others share what is left. Takes the place of weight and max_epochs."""

    @model_validator(mode="after")
    def _one_rule(self) -> Weight:
        if self.epochs is not None and self.model_fields_set & {"weight", "max_epochs"}:
            raise ValueError("epochs is fixed: leave weight and max_epochs out")
        return self


class PhaseWeight(Section):
    """A source's part in one phase."""

    weight: float = Field(default=1.0, ge=0)
    """Relative weight; 0 leaves the source out of the phase."""


class Tiers(Section):
    """Quality tiers: one signal of the documents, cut at values."""

    signal: str
    """Name of a signal in the documents' ``quality`` (or ``variety_score``)."""
    cuts: Annotated[list[float], Field(min_length=1)]
    """Rising; a document whose signal is below the first cut is in the first tier, at or above
    the last cut in the last one."""
    names: list[str] = []
    """One for each tier, from low values to high; none means ``tier_1``, ``tier_2``, …"""
    weights: dict[str, Factor] = {}
    """Factor on the tier's tokens (OLMo 3 goes up to 7); a tier that is not named has 1. The tier
    ``unknown`` holds documents without the signal."""

    @model_validator(mode="after")
    def _named(self) -> Tiers:
        if any(low >= high for low, high in pairwise(self.cuts)):
            raise ValueError(f"cuts must rise: {self.cuts}")
        if self.names and len(self.names) != len(self.cuts) + 1:
            raise ValueError(
                f"{len(self.cuts)} cuts make {len(self.cuts) + 1} tiers, not {self.names}"
            )
        if len({*self.labels, "unknown"}) <= len(self.labels):
            raise ValueError(f"tiers need different names, and none is 'unknown': {self.names}")
        self.require(self.weights)
        return self

    @property
    def labels(self) -> list[str]:
        """Names of the tiers, from low values of the signal to high."""
        return self.names or [f"tier_{i + 1}" for i in range(len(self.cuts) + 1)]

    def require(self, weights: dict[str, float]) -> None:
        """Raise ValueError when ``weights`` names a tier that there is not."""
        if unknown := sorted(set(weights) - {*self.labels, "unknown"}):
            raise ValueError(f"weights name {unknown}: the tiers are {self.labels} and 'unknown'")


class Varieties(Section):
    """Documents are told apart by variety."""

    min_score: float = Field(default=0.0, ge=0, le=1)
    """A document whose variety has a lower score counts as ``unknown``. One without a score, as
    its source states the variety, keeps it."""
    shares: dict[str, Share] = {}
    """Wanted share of varieties; those that are not named keep their proportions in the rest."""

    @model_validator(mode="after")
    def _whole(self) -> Varieties:
        require_shares(self.shares)
        return self


class Cap(Section):
    """An upper limit for what all named conditions fit; ``*`` stands for anything."""

    source: str | None = None
    variety: str | None = None
    tier: str | None = None
    license: str | None = None
    max_share: float = Field(ge=0, lt=1)
    """Of the sequences of each phase, rounded up to a whole sequence."""

    @model_validator(mode="after")
    def _limits_something(self) -> Cap:
        if not self.conditions:
            raise ValueError("a cap names a source, a variety, a tier or a license")
        return self

    @property
    def conditions(self) -> dict[str, str]:
        """Name of the column -> pattern."""
        names = ("source", "variety", "tier", "license")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def name(self) -> str:
        """As messages and the plan call it."""
        told = ", ".join(f"{name} {value}" for name, value in self.conditions.items())
        return f"{told} <= {self.max_share:g}"


class Phase(Section):
    """A part of the run with rules of its own; what it does not say is as in the mixture."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    share: float | None = Field(default=None, gt=0, lt=1)
    """Of the run's sequences."""
    sequences: int | None = Field(default=None, ge=1)
    """Its length in sequences, instead of ``share``. One phase may leave both out: the rest."""
    by: By | None = None
    temperature: float | None = Field(default=None, ge=1)
    sources: dict[str, PhaseWeight] = {}
    """Weights of sources in this phase; a source that is not named keeps the mixture's."""
    tiers: dict[str, Factor] | None = None
    """Factors of tiers, in place of the mixture's."""
    varieties: dict[str, Share] | None = None
    """Wanted shares of varieties, in place of the mixture's."""
    caps: list[Cap] | None = None
    """In place of the mixture's."""

    @model_validator(mode="after")
    def _one_length(self) -> Phase:
        if self.share is not None and self.sequences is not None:
            raise ValueError(f"phase {self.name} has a share and sequences: give one of them")
        require_shares(self.varieties or {})
        return self


class Mixture(Section):
    """Share of each source in the training tokens."""

    by: By = "tokens"
    """``tokens``: proportional to each source's size times its weight; ``weights``: the weights
    are the shares themselves (GlórIA); ``temperature``: proportional to the size to the power of
    1/temperature, times the weight."""
    temperature: float = Field(default=1.0, ge=1)
    """1 is ``by: tokens``; the higher, the more equal (arXiv 1907.05019, section 3)."""
    sources: dict[str, Weight] = {}
    """A source that is not named has weight 1; under ``weights`` every source must be named."""
    max_epochs: float = Field(default=4.0, gt=0)
    """A source is used at most this often; what it cannot give goes to the others. Up to about 4
    epochs repeated text is nearly as good as new (arXiv 2305.16264)."""
    varieties: Varieties | None = None
    tiers: Tiers | None = None
    caps: list[Cap] = []
    phases: list[Phase] = []
    """None means that the whole run is one phase. Epochs count over all phases."""

    @model_validator(mode="after")
    def _phases_fit(self) -> Mixture:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError(f"phases need different names: {names}")
        lengths = [p for p in self.phases if p.share is not None or p.sequences is not None]
        share = sum(phase.share or 0.0 for phase in self.phases)
        if len(self.phases) - len(lengths) > 1 or share > 1 + 1e-9:
            raise ValueError("phases: the shares are at most 1, and one phase may be the rest")
        only_shares = bool(self.phases) and all(p.share is not None for p in self.phases)
        if only_shares and abs(share - 1) > 1e-9:
            raise ValueError(f"phases: the shares sum to {share:g}; let one phase be the rest")
        fixed = {name for name, weight in self.sources.items() if weight.epochs is not None}
        for phase in self.phases:
            if self.tiers is None and phase.tiers:
                raise ValueError(f"phase {phase.name} weighs tiers: say what they are (tiers)")
            if self.tiers is not None:
                self.tiers.require(phase.tiers or {})
            if both := sorted(fixed & set(phase.sources)):
                raise ValueError(f"phase {phase.name} weighs {both}, whose epochs are fixed")
        if self.tiers is None and any("tier" in cap.conditions for cap in self.all_caps):
            raise ValueError("a cap names a tier: say what the tiers are (tiers)")
        return self

    @property
    def all_caps(self) -> list[Cap]:
        """Caps of the mixture and of its phases."""
        return [*self.caps, *(cap for phase in self.phases for cap in phase.caps or [])]

    def limit(self, source: str) -> float:
        """Epochs that a source may give over the run."""
        own = self.sources[source].max_epochs if source in self.sources else None
        return self.max_epochs if own is None else own


def require_shares(shares: dict[str, float]) -> None:
    """Raise ValueError when shares sum to more than 1."""
    if sum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"shares sum to more than 1: {shares}")
