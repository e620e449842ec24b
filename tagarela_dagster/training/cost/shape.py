"""Shape: the sizes of a model that decide what it costs, without building it.

From a recipe's section, a config.json, a table of public models (shapes.yaml), or a larger shape
that is pruned. Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tagarela_dagster.recipe.shape import Model, Target

TABLE = Path(__file__).parent / "shapes.yaml"
GATED = ("llama", "mistral", "qwen2", "qwen3")
"""Model types of Llama's family: rotary positions, RMS norms, SwiGLU."""


class UnknownShape(ValueError):  # noqa: N818
    """The shape of a model cannot be told; the message says what was looked at."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder.

    Attributes:
        architecture: ``llama`` (and its family) or ``gpt_neo``.
        head_dim: width of a head; heads x head_dim need not be hidden (pruned models, Qwen3).
        window: width of local attention; none means that every layer sees the whole context.
        context: longest sequence; GPT-Neo has a learned embedding for each of its positions.
        tied: the head is the embedding.
        attention_biases: on query, key and value (Qwen2).
        head_norms: RMS norms of queries and keys (Qwen3).
        outputs: rows of the head; none means the vocabulary (1 for a reward model).
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    context: int
    architecture: str = "llama"
    window: int | None = None
    tied: bool = False
    attention_biases: bool = False
    head_norms: bool = False
    outputs: int | None = None

    @property
    def queries(self) -> int:
        """Width of all query heads."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads, and of all value heads."""
        return self.kv_heads * self.head_dim

    @property
    def gated(self) -> bool:
        """Three feed-forward matrices instead of two."""
        return self.architecture != "gpt_neo"

    @property
    def matrices(self) -> list[tuple[int, int]]:
        """Linear layers of one block, (inputs, outputs)."""
        h, f = self.hidden, self.intermediate
        attention = [(h, self.queries), (h, self.keys), (h, self.keys), (self.queries, h)]
        return attention + ([(h, f), (h, f), (f, h)] if self.gated else [(h, f), (f, h)])

    @property
    def linear(self) -> int:
        """Weights of the linear layers of all blocks."""
        return self.layers * sum(rows * columns for rows, columns in self.matrices)

    @property
    def head(self) -> int:
        """Weights that the last hidden state is multiplied with, tied or not."""
        return self.hidden * (self.vocabulary if self.outputs is None else self.outputs)

    @property
    def parameters(self) -> int:
        """Parameters, tied ones once."""
        h, tied = self.hidden, self.tied and self.outputs is None
        if self.gated:
            block = 2 * h  # norms
            block += self.queries + 2 * self.keys if self.attention_biases else 0
            block += 2 * self.head_dim if self.head_norms else 0
            rest = h
        else:
            block = 4 * h + h + self.intermediate + h  # norms; biases of out, in and out
            rest = 2 * h + self.context * h
        embedding = self.vocabulary * h + (0 if tied else self.head)
        return embedding + self.linear + self.layers * block + rest

    def spans(self, context: int) -> list[int]:
        """Tokens that each layer's attention covers at most, in a sequence of ``context``."""
        local = min(context, self.window or context)
        if self.architecture == "gpt_neo":  # global and local in turn (models/model.py)
            return [local if layer % 2 else context for layer in range(self.layers)]
        return [local] * self.layers

    def pruned(self, target: Target) -> Shape:
        """This shape cut to ``target``; heads keep their width (LLM-Shearing)."""
        wanted = {k: v for k, v in target.model_dump().items() if v is not None}
        if "heads" in wanted:
            wanted["kv_heads"] = max(1, wanted["heads"] * self.kv_heads // self.heads)
        return replace(self, **wanted)

    def with_vocabulary(self, vocabulary: int) -> Shape:
        """This shape over another vocabulary."""
        return replace(self, vocabulary=vocabulary)

    def with_outputs(self, outputs: int) -> Shape:
        """This shape with a head of its own of so many outputs."""
        return replace(self, outputs=outputs)


def model_shape(section: Model, vocabulary: int) -> Shape:
    """Shape of a recipe's model (training/models/model.py builds the same)."""
    neo = section.architecture == "gpt_neo"
    return Shape(
        architecture=section.architecture,
        layers=section.layers,
        hidden=section.hidden,
        heads=section.heads,
        kv_heads=section.heads if neo else section.kv_heads or section.heads,
        head_dim=section.hidden // section.heads,
        intermediate=section.feed_forward,
        vocabulary=vocabulary,
        context=section.context,
        window=min(section.window, section.context) if neo else None,
        tied=section.tie_embeddings,
    )


def config_shape(config: Mapping[str, Any]) -> Shape:
    """Shape of a transformers configuration (``config.json`` or ``config.to_dict()``).

    Raises:
        UnknownShape: an architecture whose costs are not known.
    """
    kind = config.get("model_type")
    if kind == "gpt_neo":
        hidden, heads = config["hidden_size"], config["num_heads"]
        return Shape(
            architecture="gpt_neo",
            layers=config["num_layers"],
            hidden=hidden,
            heads=heads,
            kv_heads=heads,
            head_dim=hidden // heads,
            intermediate=config.get("intermediate_size") or 4 * hidden,
            vocabulary=config["vocab_size"],
            context=config["max_position_embeddings"],
            window=config["window_size"],
            tied=config.get("tie_word_embeddings", True),
        )
    if kind not in GATED:
        raise UnknownShape(f"model type {kind!r} cannot be planned; known are {GATED}, gpt_neo")
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    slides = kind == "mistral" or config.get("use_sliding_window")
    return Shape(
        layers=config["num_hidden_layers"],
        hidden=hidden,
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or hidden // heads,
        intermediate=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        context=config["max_position_embeddings"],
        window=config.get("sliding_window") if slides else None,
        tied=config.get("tie_word_embeddings", False),
        attention_biases=kind == "qwen2" or bool(config.get("attention_bias")),
        head_norms=kind == "qwen3",
    )


def named_shape(model: str) -> Shape:
    """Shape of a model folder, or of a public model by its name on the hub.

    Raises:
        UnknownShape: neither is known.
    """
    file = Path(model).expanduser() / "config.json"
    if file.is_file():
        return config_shape(json.loads(file.read_text(encoding="utf-8")))
    row = known_shapes().get(model.casefold())
    if row is None:
        raise UnknownShape(
            f"the shape of {model!r} is unknown, cannot plan: it is no folder with a config.json, "
            f"and {TABLE.name} does not name it (a line from its config.json there is enough)"
        )
    return row


@cache
def known_shapes() -> dict[str, Shape]:
    """Public model, in small letters -> shape."""
    rows = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return {
        name.casefold(): Shape(**{k: v for k, v in row.items() if k != "parameters"})
        for name, row in rows.items()
    }
