"""Cut: masks that are zero somewhere become a smaller model of transformers' own class.

Units whose mask is 0 are left out; the value of a mask that is not 0 goes into the weights beside
it, so the cut model is the same function as the masked one. The masked hidden dimensions go into
the embedding and into what each block adds to them; their value after a norm goes into the norm.
Only the last norm of a model with tied embeddings stays as it is, since its head is the embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.pruning.anatomy import Anatomy, Shape, anatomy, shape_of

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

Weights = Mapping[str, "torch.Tensor"]
Masks = dict[str, "torch.Tensor"]
"""``hidden`` (hidden,), ``layers`` (layers,), ``heads`` (layers, groups), ``intermediate``
(layers, width): float32, all there."""


@dataclass(frozen=True)
class _Units:
    """Rows or columns of a matrix that stay, and what they are multiplied with."""

    index: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def of(cls, mask: torch.Tensor, repeat: int = 1) -> _Units:
        spread = mask.repeat_interleave(repeat)
        index = spread.nonzero().flatten()
        return cls(index, spread[index])

    @property
    def plain(self) -> _Units:
        """The same units, not multiplied."""
        return _Units(self.index, self.scale.new_ones(len(self.index)))


def cut(config: PretrainedConfig, weights: Weights, masks: Masks) -> PreTrainedModel:
    """The smaller model, in the type of ``weights``.

    Args:
        config: of the model that was masked.
        weights: its state by name; a tied head may be missing.
        masks: of every row the same number is not 0.
    """
    from transformers import AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    parts = anatomy(config)
    shape = shape_of(config)
    layers = _layers(masks)
    small = small_config(config, masks)
    hidden = _Units.of(masks["hidden"])
    tied = config.tie_word_embeddings
    found: dict[str, torch.Tensor] = {}
    for name in parts.embeddings:
        found[f"{name}.weight"] = _take(weights[f"{name}.weight"], None, hidden)
    last = hidden.plain if tied else hidden
    found |= _linear(weights, parts.final_norm, parts.final_norm, last, None)
    if not tied:
        found[f"{parts.head}.weight"] = _take(weights[f"{parts.head}.weight"], None, hidden.plain)
    for place, layer in enumerate(layers):
        names = f"{parts.block}.{layer}", f"{parts.block}.{place}"
        found |= _block(weights, parts, shape, masks, layer, names)
    dtype = next(iter(found.values())).dtype
    with no_init_weights():
        model = AutoModelForCausalLM.from_config(small, dtype=dtype)
    if tied:
        found[f"{parts.head}.weight"] = found[f"{parts.embeddings[0]}.weight"]
    model.load_state_dict(found)
    return model


def _layers(masks: Masks) -> list[int]:
    return masks["layers"].nonzero().flatten().tolist()


def small_config(config: Any, masks: Masks) -> PretrainedConfig:
    """Configuration of the smaller model; the dimensions of a head are said, not derived."""
    shape, layers = shape_of(config), _layers(masks)
    groups = int((masks["heads"][layers[0]] != 0).sum())
    changed: dict[str, Any] = {
        "hidden_size": int((masks["hidden"] != 0).sum()),
        "intermediate_size": int((masks["intermediate"][layers[0]] != 0).sum()),
    }
    if shape.architecture == "gpt_neo":
        kinds = [config.attention_layers[layer] for layer in layers]
        changed |= {
            "num_layers": len(layers),
            "num_heads": groups,
            "attention_types": [[[kind], 1] for kind in kinds],
        }
    else:
        changed |= {
            "num_hidden_layers": len(layers),
            "num_attention_heads": groups * shape.queries,
            "num_key_value_heads": groups,
            "head_dim": shape.head_dim,
        }
    old = {name: value for name, value in config.to_dict().items() if name != "attention_layers"}
    return type(config).from_dict({**old, **changed})


def _block(
    weights: Weights,
    parts: Anatomy,
    shape: Shape,
    masks: Masks,
    layer: int,
    names: tuple[str, str],
) -> dict[str, torch.Tensor]:
    """Weights of the block that was ``names[0]`` and is ``names[1]``."""
    hidden = _Units.of(masks["hidden"])
    added = _Units(hidden.index, hidden.scale * masks["layers"][layer])
    heads = masks["heads"][layer]
    queries = _Units.of(heads, shape.queries * shape.head_dim)
    keys = _Units.of(heads, shape.head_dim)
    width = _Units.of(masks["intermediate"][layer])
    here, there = (f"{name}." for name in names)
    found: dict[str, torch.Tensor] = {}
    for name in parts.norms:
        found |= _linear(weights, here + name, there + name, hidden, None)
    inwards = [(parts.query, queries), *((name, keys) for name in parts.key_value)]
    inwards += [(name, width) for name in parts.ffn_in]
    for name, units in inwards:
        found |= _linear(weights, here + name, there + name, units.plain, hidden.plain)
    for name, units in ((parts.attention_out, queries), (parts.ffn_out, width)):
        found |= _linear(weights, here + name, there + name, added, units)
    return found


def _linear(
    weights: Weights, here: str, there: str, rows: _Units, columns: _Units | None
) -> dict[str, torch.Tensor]:
    """Weight and, where there is one, bias of a linear map (or of a norm, without columns)."""
    found = {f"{there}.weight": _take(weights[f"{here}.weight"], rows, columns)}
    if f"{here}.bias" in weights:
        found[f"{there}.bias"] = _take(weights[f"{here}.bias"], rows, None)
    return found


def _take(values: torch.Tensor, rows: _Units | None, columns: _Units | None) -> torch.Tensor:
    taken = values.detach().float()
    if rows is not None:
        scale = rows.scale.view(-1, *[1] * (taken.dim() - 1))
        taken = taken[rows.index] * scale
    if columns is not None:
        taken = taken[:, columns.index] * columns.scale
    return taken.to(values.dtype).contiguous()
