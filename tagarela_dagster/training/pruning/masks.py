"""Masks: a model whose hidden dimensions, layers, heads and feed-forward width can be left out.

LLM-Shearing (arXiv 2310.06694; princeton-nlp/LLM-Shearing, llmshearing/models/l0_module.py and
composer_llama.py) around transformers' own modules: hooks multiply what goes into and comes out
of a linear map, and norms take their mean and variance over the dimensions that are not 0, so that
a masked model is the same function as the one that is cut out of it.

For each dimension j of the target there is a Lagrangian over its rows (layers, or the model),

    mean over rows of  l1 (s - t) + l2 (s - t)^2

with s the expected sparsity of the row, and t the target's sparsity times the share of the warm-up
that is done. Masks descend on it, multipliers ascend: their gradient's sign is turned here.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.shape import Target
from tagarela_dagster.training.pruning import hard_concrete
from tagarela_dagster.training.pruning.anatomy import anatomy, pruned_shape, shape_of
from tagarela_dagster.training.pruning.cut import Masks, cut, small_config

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

MASK, MULTIPLIER = "mask_", "multiplier_"
"""How the parameters that are added begin; the dimension's name follows."""


def masked_model(model: PreTrainedModel, target: Target, seed: int, warmup: int = 0) -> Any:
    """``model`` with masks towards ``target``, a ``torch.nn.Module``.

    Called as the model is; ``masks`` says which are laid on, ``sampled`` at step ``step`` (the
    same on every rank and in every micro-batch of the step), ``expected`` (as many units as are
    expected to stay now), ``target`` (exactly the target's number) or ``none``. Without it a
    training model samples and any other has the target's. Then ``penalty`` is the Lagrangian, a
    scalar, and ``sparsities`` tells dimension -> expected sparsity.

    Args:
        warmup: steps until the whole sparsity is asked for.

    Raises:
        TrainingError: the model cannot be pruned to this shape.
    """
    return _masked_class()(model, target, seed, warmup)


@functools.cache
def _masked_class() -> Any:
    """The class, made where torch is loaded."""
    import torch

    class Masked(torch.nn.Module):
        def __init__(self, model: Any, target: Target, seed: int, warmup: int) -> None:
            super().__init__()
            self.model = model
            self.config = model.config
            self.parent = shape_of(self.config)
            self.target = pruned_shape(self.parent, target)
            self.seed, self.warmup = seed, warmup
            generator = torch.Generator().manual_seed(seed)
            for name, size in self._full().items():
                if self.kept(name) == size[-1]:
                    continue
                drawn = torch.randn(size, generator=generator) * 1e-2 + hard_concrete.START
                logits = drawn.clamp(-hard_concrete.LIMIT, hard_concrete.LIMIT)
                # Of this module itself: ZeRO 3 gathers a module's own parameters for its forward.
                self.register_parameter(MASK + name, torch.nn.Parameter(logits))
                self.register_parameter(MULTIPLIER + name, torch.nn.Parameter(torch.zeros(2)))
            self.laid: Masks = {}
            """Masks of the forward pass under way, and of its backward pass."""
            self.penalty = torch.zeros(())
            self._sparsities: dict[str, torch.Tensor] = {}
            _lay(self)

        @property
        def dtype(self) -> torch.dtype:
            return self.model.dtype

        @property
        def sparsities(self) -> dict[str, float]:
            return {name: round(float(value), 6) for name, value in self._sparsities.items()}

        def activation_checkpointing_enable(self, settings: dict[str, Any]) -> None:
            self.model.activation_checkpointing_enable(settings)

        @property
        def dimensions(self) -> list[str]:
            """Dimensions that are pruned."""
            return [name for name in self._full() if hasattr(self, MASK + name)]

        def _full(self) -> dict[str, tuple[int, ...]]:
            """Dimension -> shape of its mask."""
            parent = self.parent
            return {
                "hidden": (parent.hidden,),
                "layers": (parent.layers,),
                "heads": (parent.layers, parent.groups),
                "intermediate": (parent.layers, parent.intermediate),
            }

        def kept(self, name: str) -> int:
            """Units of a row that the target has."""
            return self.target.groups if name == "heads" else getattr(self.target, name)

        def forward(self, *, step: int = 0, masks: str | None = None, **inputs: Any) -> Any:
            which = masks or ("sampled" if self.training else "target")
            generator = torch.Generator().manual_seed((self.seed << 32) + step & (1 << 63) - 1)
            self.laid = {}
            for name in self.dimensions if which != "none" else ():
                logits = getattr(self, MASK + name)
                if which == "sampled":
                    self.laid[name] = hard_concrete.sample(logits, generator)
                else:
                    kept = self.kept(name) if which == "target" else None
                    self.laid[name] = hard_concrete.deterministic(logits, kept)
            output = self.model(**inputs)
            self.penalty = self._penalty(step)
            return output

        def _penalty(self, step: int) -> torch.Tensor:
            total = torch.zeros(())
            for name in self.dimensions:
                sparsity = 1 - hard_concrete.stay(getattr(self, MASK + name)).mean(-1)
                self._sparsities[name] = sparsity.detach().mean()
                apart = sparsity - self.sought(name, step)
                multipliers = getattr(self, MULTIPLIER + name).float()
                # The same value, the gradient's sign turned: these ascend.
                linear, quadratic = 2 * multipliers.detach() - multipliers
                total = total.to(apart.device) + (linear * apart + quadratic * apart**2).mean()
            return total

        def sought(self, name: str, step: int) -> float:
            """Sparsity that is asked for at ``step`` (from 0)."""
            whole = 1 - self.kept(name) / self._full()[name][-1]
            return whole * min(1.0, step / self.warmup if self.warmup else 1.0)

        def save_pretrained(self, folder: Path, state_dict: dict[str, torch.Tensor]) -> None:
            """Cut the model that ``state_dict`` (of this module) is at, and write it."""
            self.cut(state_dict).save_pretrained(folder)

        def skeleton(self) -> Any:
            """A model of the target's shape, whatever its weights."""
            from transformers import AutoModelForCausalLM

            masks = {}
            for name, size in self._full().items():
                row = torch.arange(size[-1], device="cpu") < self.kept(name)
                masks[name] = row.float().expand(size)
            return AutoModelForCausalLM.from_config(small_config(self.config, masks))

        def cut(self, state: dict[str, torch.Tensor] | None = None) -> Any:
            """The model of the target's shape, from this state or another one of this module."""
            state = dict(self.state_dict()) if state is None else state
            masks = {}
            for name, size in self._full().items():
                masks[name] = torch.ones(size)
                if MASK + name in state:
                    found = state[MASK + name].cpu()
                    masks[name] = hard_concrete.deterministic(found, self.kept(name))
            inner = {n.removeprefix("model."): v for n, v in state.items() if n[:6] == "model."}
            small = cut(self.config, inner, masks)
            small.generation_config = self.model.generation_config
            return small

    return Masked


def _lay(masked: Any) -> None:
    """Hang the masks into the model's modules."""
    model, shape, parts = masked.model, masked.parent, anatomy(masked.config)

    def of(name: str, layer: int | None = None) -> Any:
        laid = masked.laid.get(name)
        return laid if laid is None or layer is None else laid[layer]

    def times(values: Any, *masks: Any) -> Any:
        for mask in masks:
            values = values if mask is None else values * mask.to(values.dtype)
        return values

    for name in parts.embeddings:
        module = model.get_submodule(name)
        module.register_forward_hook(lambda _m, _i, out: times(out, of("hidden")))
    norms = [parts.final_norm]
    for layer in range(shape.layers):
        block = f"{parts.block}.{layer}."
        norms += [block + name for name in parts.norms]
        attention, ffn = (
            model.get_submodule(block + n) for n in (parts.attention_out, parts.ffn_out)
        )

        def heads(_module: Any, inputs: Any, layer: int = layer) -> Any:
            mask = of("heads", layer)
            if mask is None:
                return inputs
            return (times(inputs[0], mask.repeat_interleave(shape.queries * shape.head_dim)),)

        def width(_module: Any, inputs: Any, layer: int = layer) -> Any:
            return (times(inputs[0], of("intermediate", layer)),)

        def added(_module: Any, _inputs: Any, out: Any, layer: int = layer) -> Any:
            return times(out, of("hidden"), of("layers", layer))

        attention.register_forward_pre_hook(heads)
        ffn.register_forward_pre_hook(width)
        attention.register_forward_hook(added)
        ffn.register_forward_hook(added)
    for name in norms:
        norm = model.get_submodule(name)
        norm.forward = functools.partial(_norm, norm, norm.forward, lambda: of("hidden"))


def _norm(norm: Any, whole: Any, mask_of: Any, hidden: torch.Tensor) -> torch.Tensor:
    """RMSNorm or LayerNorm over the dimensions whose mask is not 0, times the mask.

    Args:
        whole: the norm's own forward, for when there is no mask.
        hidden: (..., hidden dimensions), 0 where the mask is.
    """
    import torch

    mask = mask_of()
    if mask is None:
        return whole(hidden)
    kept = (mask != 0).float()
    count = kept.sum()
    values = hidden.float() * kept
    layer_norm = isinstance(norm, torch.nn.LayerNorm)
    if layer_norm:
        values = (values - values.sum(-1, keepdim=True) / count) * kept
    epsilon = norm.eps if layer_norm else norm.variance_epsilon
    variance = values.pow(2).sum(-1, keepdim=True) / count
    out = norm.weight * (values * torch.rsqrt(variance + epsilon)).to(hidden.dtype)
    if layer_norm and norm.bias is not None:
        out = out + norm.bias
    return out * mask.to(out.dtype)
