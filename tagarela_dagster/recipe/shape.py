"""Model section: the shape of a model, built from a transformers config."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tagarela_dagster.recipe.base import Section

Architecture = Literal["llama", "gpt_neo"]


class Model(Section):
    """Shape of the model, built from a transformers config."""

    architecture: Architecture = "llama"
    hidden: int = Field(default=768, ge=16)
    layers: int = Field(default=12, ge=1)
    heads: int = Field(default=12, ge=1)
    kv_heads: int | None = Field(default=None, ge=1)
    """Llama: key-value heads (grouped-query attention); none means ``heads``."""
    intermediate: int | None = Field(default=None, ge=16)
    """Feed-forward width; none means 8/3 hidden for Llama (rounded up to 64), 4 for GPT-Neo."""
    context: int = Field(default=1024, ge=32)
    """Sequence length in tokens."""
    window: int = Field(default=256, ge=8)
    """GPT-Neo: width of the local layers, which alternate with global ones."""
    tie_embeddings: bool = True

    @model_validator(mode="after")
    def _divisible(self) -> Model:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        if self.kv_heads and self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads")
        return self


class Target(Section):
    """Shape that a model is pruned to; what is left out stays as in the parent."""

    hidden: int | None = Field(default=None, ge=16)
    layers: int | None = Field(default=None, ge=1)
    heads: int | None = Field(default=None, ge=1)
    """Attention heads of a layer. With grouped queries whole groups go."""
    intermediate: int | None = Field(default=None, ge=16)
