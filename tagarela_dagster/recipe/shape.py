"""Model section: the shape of a model, built from a transformers config."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tagarela_dagster.recipe.base import Section

Architecture = Literal["llama", "gpt_neo"]

FEED_FORWARD_MULTIPLE = 64
"""Llama's feed-forward width is rounded up to a multiple of this."""
UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


def _number(value: Any) -> Any:
    """``160M``, ``1.3B`` as numbers."""
    found = re.fullmatch(r"([0-9.]+)\s*([kmb]?)", str(value).strip().lower())
    if not isinstance(value, str) or found is None:
        return value
    return round(float(found[1]) * UNITS[found[2]])


class Model(Section):
    """Shape of the model, built from a transformers config."""

    architecture: Architecture = "llama"
    parameters: Annotated[int | None, BeforeValidator(_number)] = Field(default=None, ge=10_000)
    """Dial of the size ladder (ladder.py): a number, ``160M`` or ``1.3B``. Width, layers, heads and
    the rest follow, but those that are given."""
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

    @property
    def feed_forward(self) -> int:
        """Feed-forward width, given or derived."""
        if self.intermediate or self.architecture == "gpt_neo":
            return self.intermediate or 4 * self.hidden
        # 2/3 of 4 x hidden, as SwiGLU has three matrices where two stood (arXiv 2002.05202).
        width = -(-8 * self.hidden // 3)
        return -(-width // FEED_FORWARD_MULTIPLE) * FEED_FORWARD_MULTIPLE

    def as_json(self) -> dict[str, Any]:
        """Fingerprinted form: the shape, and not the dial that it came from."""
        return self.model_dump(mode="json", exclude={"parameters"})


class Target(Section):
    """Shape that a model is pruned to; what is left out stays as in the parent."""

    hidden: int | None = Field(default=None, ge=16)
    layers: int | None = Field(default=None, ge=1)
    heads: int | None = Field(default=None, ge=1)
    """Attention heads of a layer. With grouped queries whole groups go."""
    intermediate: int | None = Field(default=None, ge=16)
