"""Anatomy: where an architecture has the parts that are pruned, and the shape they make.

Masks (masks.py) and the cut (cut.py) read the same table, so they cannot disagree on what a
dimension is. Names are those of transformers' own classes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.shape import Target
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@dataclass(frozen=True)
class Anatomy:
    """Names of modules: of the whole model, then of a block (below ``block.N``).

    Attributes:
        attention_out, ffn_out: linear maps back to the hidden dimensions.
        ffn_in: linear maps to the feed-forward width.
        square: heads times the dimensions of a head must be the hidden dimensions.
    """

    embeddings: tuple[str, ...]
    final_norm: str
    head: str
    block: str
    norms: tuple[str, ...]
    query: str
    key_value: tuple[str, ...]
    attention_out: str
    ffn_in: tuple[str, ...]
    ffn_out: str
    square: bool = False


ANATOMIES = {
    "llama": Anatomy(
        embeddings=("model.embed_tokens",),
        final_norm="model.norm",
        head="lm_head",
        block="model.layers",
        norms=("input_layernorm", "post_attention_layernorm"),
        query="self_attn.q_proj",
        key_value=("self_attn.k_proj", "self_attn.v_proj"),
        attention_out="self_attn.o_proj",
        ffn_in=("mlp.gate_proj", "mlp.up_proj"),
        ffn_out="mlp.down_proj",
    ),
    "gpt_neo": Anatomy(
        embeddings=("transformer.wte", "transformer.wpe"),
        final_norm="transformer.ln_f",
        head="lm_head",
        block="transformer.h",
        norms=("ln_1", "ln_2"),
        query="attn.attention.q_proj",
        key_value=("attn.attention.k_proj", "attn.attention.v_proj"),
        attention_out="attn.attention.out_proj",
        ffn_in=("mlp.c_fc",),
        ffn_out="mlp.c_proj",
        square=True,
    ),
}


def anatomy(config: PretrainedConfig) -> Anatomy:
    """Anatomy of a model. Raises TrainingError for an architecture that cannot be pruned."""
    found = ANATOMIES.get(config.model_type)
    if found is None:
        raise TrainingError(
            f"a model of type {config.model_type!r} cannot be pruned here, only "
            f"{' and '.join(ANATOMIES)}: choose another parent"
        )
    return found


@dataclass(frozen=True)
class Shape:
    """What pruning changes, and what limits it.

    Attributes:
        head_dim: dimensions of a head; pruning never changes it, as rotary positions depend on it.
    """

    architecture: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    head_dim: int

    @property
    def groups(self) -> int:
        """What heads are removed by: heads, or groups of queries that share a key and value."""
        return self.kv_heads

    @property
    def queries(self) -> int:
        """Heads of a group."""
        return self.heads // self.kv_heads

    def as_json(self) -> dict[str, Any]:
        """As results and metrics tell it."""
        return asdict(self)


def shape_of(config: PretrainedConfig) -> Shape:
    """Shape of a model from its transformers configuration."""
    anatomy(config)
    heads = config.num_attention_heads
    if config.model_type == "gpt_neo":
        width = config.intermediate_size or 4 * config.hidden_size
        head_dim = config.hidden_size // heads
        kv_heads = heads
    else:
        width, head_dim, kv_heads = (
            config.intermediate_size,
            config.head_dim,
            config.num_key_value_heads,
        )
    layers = config.num_hidden_layers
    return Shape(config.model_type, config.hidden_size, layers, heads, kv_heads, width, head_dim)


def pruned_shape(parent: Shape, target: Target) -> Shape:
    """Shape that ``parent`` is pruned to.

    Raises:
        TrainingError: the target is larger than the parent, removes nothing, or is no shape that
            transformers can build; the message has the arithmetic.
    """
    asked = {name: size for name, size in target.model_dump().items() if size is not None}
    for name, size in asked.items():
        has = getattr(parent, name)
        if size > has:
            raise TrainingError(
                f"target.{name} is {size}, more than the parent's {has}: pruning only removes"
            )
    if all(getattr(parent, name) == size for name, size in asked.items()):
        raise TrainingError("the target is the parent's own shape: give a smaller one")
    heads = asked.get("heads", parent.heads)
    if heads % parent.queries:
        whole = range(parent.queries, parent.heads + 1, parent.queries)
        raise TrainingError(
            f"target.heads is {heads}, but {parent.queries} heads share a key and value "
            f"({parent.heads} heads / {parent.kv_heads}) and go together: choose one of "
            f"{', '.join(map(str, whole))}"
        )
    wanted = replace(parent, **{**asked, "heads": heads, "kv_heads": heads // parent.queries})
    if ANATOMIES[parent.architecture].square and wanted.heads * wanted.head_dim != wanted.hidden:
        raise TrainingError(
            f"a {parent.architecture} model has hidden = heads x dimensions of a head; "
            f"{wanted.hidden} is not {wanted.heads} x {wanted.head_dim}: choose hidden "
            f"{wanted.heads * wanted.head_dim}, or other heads"
        )
    if wanted.hidden % wanted.heads:
        raise TrainingError(
            f"transformers wants hidden to be a multiple of heads, {wanted.hidden} / "
            f"{wanted.heads} is {wanted.hidden / wanted.heads:.2f}: choose hidden "
            f"{wanted.hidden // wanted.heads * wanted.heads}, or other heads"
        )
    return wanted
