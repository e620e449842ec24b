"""Size ladder: a shape for a number of parameters, and a batch and a rate for a compute budget.

For ablations: a model of 20 million parameters that is built by the rule of its 1-billion sister
says more about her than one that was drawn by hand. Two dials, which a recipe may leave alone:

    training:
      model: {parameters: 160M}                 # shape; what is given beside it stays
      pretrain: {tokens_per_parameter: 20}      # steps, batch, rate; what is given stays

**Shape.** Depth and width grow together as they do from Tucano-160m (12 layers, 768) by way of
Tucano-1b1 (22, 2048) to Llama-2-7B (32, 4096; arXiv 2307.09288): width = 768 (layers / 12)^1.7.
(karpathy/nanochat, scripts/base_train.py, keeps 64 of width a layer: this rule at 12 layers.)
Of all shapes of round widths that have the parameters, the one nearest to number and line is taken.
Heads are 64 wide up to a width of 2048 and 128 above (Tucano; Llama 2). In a Llama 16 heads or more
share 8 keys and values (Llama 3, arXiv 2407.21783, table 3), or 4 where 8 does not divide them
(Qwen2.5-7B, arXiv 2412.15115, table 1).

**Batch and rate.** DeepSeek LLM's power laws of the compute budget C = 6 x parameters x tokens, in
FLOP (arXiv 2401.02954, equation 1): rate 0.3118 C^-0.1250, batch 0.2920 C^0.3271 tokens. They
were fitted from 10^17 to 2 x 10^19 FLOP with AdamW. 20 tokens a parameter are Chinchilla's
(arXiv 2203.15556).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tagarela_dagster.recipe.pretraining import Pretrain
from tagarela_dagster.recipe.shape import Model
from tagarela_dagster.recipe.training import Training

TOLERANCE = 0.1
"""Largest share by which a shape misses its parameters."""
OFF_THE_LINE = 3.0
"""Largest factor between the width of a shape and that of the line."""
LAYERS = range(2, 129)
SHAPED = frozenset({"hidden", "layers", "heads", "kv_heads", "intermediate"})
WARMUP_SHARE = 0.02
"""Of the steps; at most the 2,000 of Llama 2 and Tucano 2."""
MAX_WARMUP = 2000


def climb(training: Training, vocabulary: int) -> Training:
    """``training`` with what its dials derive; unchanged where it has none.

    Raises:
        ValueError: no shape has these parameters.
    """
    model, pretrain = training.model, training.pretrain
    if model.parameters is not None:
        model = shaped(model, vocabulary)
    if pretrain.tokens_per_parameter is not None:
        pretrain = paced(pretrain, count_parameters(model, vocabulary), model.context)
    return training.model_copy(update={"model": model, "pretrain": pretrain})


def count_parameters(model: Model, vocabulary: int) -> int:
    """Parameters of a model of this shape, tied ones once (training/models/model.py builds it)."""
    h, f = model.hidden, model.feed_forward
    embeddings = vocabulary * h * (1 if model.tie_embeddings else 2)
    if model.architecture == "gpt_neo":
        layer = 4 * h * h + h + 2 * h * f + f + h + 4 * h
        return embeddings + model.context * h + model.layers * layer + 2 * h
    keys = h // model.heads * (model.kv_heads or model.heads)
    return embeddings + model.layers * (2 * h * h + 2 * h * keys + 3 * h * f + 2 * h) + h


def shaped(model: Model, vocabulary: int) -> Model:
    """``model`` with a shape that has its parameters; fields that were given stay.

    Raises:
        ValueError: none comes within TOLERANCE.
    """
    wanted = model.parameters
    assert wanted is not None
    given = {name: getattr(model, name) for name in SHAPED & model.model_fields_set}
    if set(given) >= SHAPED - {"kv_heads"}:
        return model  # a recipe that was written out whole
    best: tuple[float, Model] | None = None
    for hidden in [given["hidden"]] if "hidden" in given else _widths():
        base = _of_width(model, hidden, given)
        for layers in [given["layers"]] if "layers" in given else LAYERS:
            candidate = base.model_copy(update={"layers": layers})
            miss = abs(count_parameters(candidate, vocabulary) / wanted - 1)
            if miss > TOLERANCE:
                continue
            off = abs(math.log(hidden / (768 * (layers / 12) ** 1.7)))
            if not given and off > math.log(OFF_THE_LINE):
                continue
            # 5% off the number counts as much as 20% off the line.
            distance = off + 4 * miss
            if best is None or distance < best[0]:
                best = distance, candidate
    if best is None:
        smallest = count_parameters(_of_width(model, 64, {"layers": 2, **given}), vocabulary)
        raise ValueError(
            f"parameters: no shape has {wanted:,} within {TOLERANCE:.0%} with a vocabulary of "
            f"{vocabulary:,}{f' and {given}' if given else ''}; the smallest has about "
            f"{smallest:,}. Choose another number, or a smaller vocabulary"
        )
    return best[1]


def _widths() -> list[int]:
    """Round widths: multiples of 64, of 256 from 1024, of 512 from 2048."""
    return [*range(64, 1024, 64), *range(1024, 2048, 256), *range(2048, 16_385, 512)]


def _of_width(model: Model, hidden: int, given: dict[str, Any]) -> Model:
    heads = given.get("heads") or max(1, hidden // (64 if hidden <= 2048 else 128))
    shared = [n for n in (8, 4) if heads >= 16 and heads % n == 0 and model.architecture == "llama"]
    derived = {"hidden": hidden, "heads": heads, "kv_heads": next(iter(shared), None), **given}
    sized = model.model_copy(update=derived)
    return sized.model_copy(update={"intermediate": given.get("intermediate", sized.feed_forward)})


@dataclass(frozen=True)
class Pace:
    """What the power laws say of a compute budget."""

    learning_rate: float
    batch_tokens: float


def pace(parameters: int, tokens: float) -> Pace:
    """Rate and batch of DeepSeek LLM's laws for training ``parameters`` on ``tokens``."""
    compute = 6 * parameters * tokens
    return Pace(0.3118 * compute**-0.1250, 0.2920 * compute**0.3271)


def paced(pretrain: Pretrain, parameters: int, context: int) -> Pretrain:
    """``pretrain`` with batch, steps, rate and warm-up by the laws; fields that were given stay.

    The batch is met by ``accumulation``: ``processes`` and ``micro_batch`` are the machine's.
    """
    assert pretrain.tokens_per_parameter is not None
    given = pretrain.model_fields_set
    tokens = pretrain.tokens_per_parameter * parameters
    laws = pace(parameters, tokens)
    derived: dict[str, Any] = {}
    if "accumulation" not in given:
        at_once = pretrain.processes * pretrain.micro_batch * context
        derived["accumulation"] = max(1, round(laws.batch_tokens / at_once))
    if "learning_rate" not in given:
        derived["learning_rate"] = float(f"{laws.learning_rate:.3g}")
    batched = pretrain.model_copy(update=derived)
    if "steps" not in given:
        derived["steps"] = max(1, round(tokens / (batched.step_sequences * context)))
    if "warmup_steps" not in given:
        steps = derived.get("steps", pretrain.steps)
        derived["warmup_steps"] = min(MAX_WARMUP, max(1, round(WARMUP_SHARE * steps)))
    return Pretrain.model_validate({**pretrain.model_dump(), **derived})
