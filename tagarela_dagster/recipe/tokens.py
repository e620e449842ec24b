"""Tokens section: tokenizer, token shards, mixture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tagarela_dagster.recipe.base import Section


class Tokenizer(Section):
    """Tokenizer trained on the clean corpus."""

    kind: Literal["bpe", "unigram"] = "bpe"
    """Byte-level BPE, or unigram with byte fall-back; both round-trip any text."""
    vocabulary: int = Field(default=32_000, ge=300, le=500_000)
    min_frequency: int = Field(default=2, ge=1)
    max_training_megabytes: int = Field(default=2_000, ge=1)
    """Text that the tokenizer is trained on, spread over sources (10^6 bytes)."""


class Weight(Section):
    """A source's part in the mixture."""

    weight: float = Field(default=1.0, ge=0)
    """Relative weight; 0 leaves the source out."""
    max_epochs: float | None = Field(default=None, gt=0)
    """This source's own limit; none means the mixture's."""


class Mixture(Section):
    """Share of each source in the training tokens."""

    by: Literal["tokens", "weights"] = "tokens"
    """``tokens``: proportional to each source's size times its weight; ``weights``: the weights
    are the shares themselves (GlórIA)."""
    sources: dict[str, Weight] = {}
    """A source that is not named has weight 1 under ``tokens``; under ``weights`` every source
    must be named."""
    max_epochs: float = Field(default=4.0, gt=0)
    """A source is used at most this often; what it cannot give goes to the others. Up to about 4
    epochs repeated text is nearly as good as new (arXiv 2305.16264)."""

    def limit(self, source: str) -> float:
        """Epochs that a source may give."""
        own = self.sources[source].max_epochs if source in self.sources else None
        return self.max_epochs if own is None else own


class Tokens(Section):
    """From clean text to a training mixture."""

    tokenizer: Tokenizer = Tokenizer()
    mixture: Mixture = Mixture()
