"""The whole recipe."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.corpus import Corpus
from tagarela_dagster.recipe.evals import Evals
from tagarela_dagster.recipe.ladder import climb
from tagarela_dagster.recipe.sources import Source, SourceName
from tagarela_dagster.recipe.tokens import Tokens
from tagarela_dagster.recipe.training import Training

PER_SOURCE = ("documents", "filtered")
"""Assets whose partitions of one source do not depend on what the recipe says of another."""


class Recipe(Section):
    """What to build: sources, corpus rules, tokens, training, evaluation."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    description: str = ""
    seed: int = Field(default=20_261_120, ge=0, lt=2**32)
    sources: dict[SourceName, Source] = Field(min_length=1)
    corpus: Corpus = Corpus()
    tokens: Tokens = Tokens()
    training: Training = Training()
    evals: Evals = Evals()

    @model_validator(mode="after")
    def _sources_exist(self) -> Recipe:
        mixture = self.tokens.mixture
        weighed = {*mixture.sources, *(name for p in mixture.phases for name in p.sources)}
        unknown = sorted(weighed - set(self.sources))
        if unknown:
            raise ValueError(f"tokens.mixture.sources names {unknown}, not among the sources")
        unknown = sorted(self.corpus.models.source_names - set(self.sources))
        if unknown:
            raise ValueError(f"corpus.models is to be trained on {unknown}, not among the sources")
        unknown = sorted(set(self.corpus.overrides) - set(self.sources))
        if unknown:
            known = ", ".join(self.sources)
            raise ValueError(f"corpus.overrides names {unknown}, not among the sources: {known}")
        missing = sorted(set(self.sources) - set(mixture.sources))
        if mixture.by == "weights" and missing:
            raise ValueError(f"tokens.mixture.by is 'weights', but {missing} have no weight")
        return self

    @model_validator(mode="after")
    def _climb_the_ladder(self) -> Recipe:
        training = climb(self.training, self.tokens.tokenizer.vocabulary)
        # Before anybody has seen the frozen section: what its dials say becomes part of it.
        self.__dict__["training"] = training
        return self

    def section(self, asset: str, source: str | None = None) -> dict[str, Any]:
        """The part of the recipe that decides what ``asset`` contains.

        Args:
            source: decides about a partition of this source alone, where an asset's partitions
                differ by more than their inputs (PER_SOURCE).

        Raises:
            KeyError: no such asset.
        """
        corpus, tokens, training = self.corpus, self.tokens, self.training
        if asset in self.sources:
            return {"source": self.sources[asset].as_json()}
        if asset in training.all_stages:
            return {**training.section(asset), "seed": self.seed}
        own = [source] if source else list(self.sources)
        sources = {name: self.sources[name].as_json() for name in own}
        readers = {name: source.reader for name, source in self.sources.items()}
        ranks = {name: source.rank for name, source in self.sources.items()}
        limits = {
            "shard_megabytes": corpus.shard_megabytes,
            "max_document_megabytes": corpus.max_document_megabytes,
        }
        measures = {
            "cleanup": corpus.cleanup.as_json(),
            "language": corpus.language.enabled,
            "stop_words": corpus.quality.stop_words,
            "portuguese": corpus.portuguese.measured(),
            "pii": corpus.pii.measured(),
            "models": corpus.models.measured(),
        }
        rules = ("licenses", "language", "repetition", "quality", "c4", "madlad", "pii")
        # What an override comes to, so that one that changes nothing makes nothing stale.
        decisions = corpus.for_source(source) if source else corpus
        held_out = self.evals.held_out.as_json()
        sections: dict[str, dict[str, Any]] = {
            "documents": {"sources": sources, **limits},
            "measured": measures,
            "filtered": {
                **{rule: getattr(decisions, rule).as_json() for rule in rules},
                "limits": decisions.portuguese.limits.as_json(),
                "models": corpus.models.thresholds(),
                **({} if source else {"overrides": corpus.as_json()["overrides"]}),
            },
            **{
                name: {**section, "seed": self.seed}
                for name, section in corpus.models.trainings().items()
            },
            "signatures": {
                "minhash": corpus.dedup.minhash.as_json(),
                "quality": corpus.dedup.quality_signal,
            },
            "clusters": {"dedup": corpus.dedup.as_json(), "ranks": ranks, "readers": readers},
            "deduped": {},
            "repeats": {
                "repeats": corpus.dedup.repeats.as_json(),
                "order": list(corpus.dedup.order),
                "ranks": ranks,
            },
            "benchmarks": {"last_word": {k: v.as_json() for k, v in self.evals.last_word.items()}},
            "clean": {"decontamination": corpus.decontamination.as_json()},
            "contamination": {"decontamination": corpus.decontamination.as_json()},
            "card": {"card": corpus.card.as_json(), "corpus": corpus.as_json(), "sources": sources},
            "held_out": {"held_out": held_out, "seed": self.seed},
            "tokenizer": {
                "tokenizer": tokens.tokenizer.as_json(),
                "held_out_share": held_out["share"],
                "seed": self.seed,
            },
            "tokens": {"held_out_share": held_out["share"], "seed": self.seed},
            "mixture": {
                "mixture": tokens.mixture.as_json(),
                "rehydration": tokens.rehydration.as_json(),
                "seed": self.seed,
                "sequences": self.training_sequences,
                "context": training.model.context,
            },
            "scores": {"evals": self.evals.as_json()},
        }
        return sections[asset]

    @property
    def training_sequences(self) -> int:
        """Sequences of the mixture that all stages consume."""
        return sum(count for _, count in self.training.slices.values())
