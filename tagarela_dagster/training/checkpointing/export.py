"""Export: the trained model in Hugging Face layout, written from a checkpoint's state, verified.

The model is put together from the fp32 weights in the state files, parameter by parameter, and
rounded to the type that it is trained in: the same bits as the live model's, at every ZeRO stage,
without asking the training ranks for anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.adaptation.lora import save_adapter
from tagarela_dagster.training.checkpointing.checkpoints import ADAPTER, MODEL, Checkpoint
from tagarela_dagster.training.checkpointing.partition import WEIGHTS
from tagarela_dagster.training.checkpointing.state import StateReader
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

EXPORT_TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}
"""Largest difference of a logit between live and reloaded model, as a share of the largest logit.
The weights are the same bits, so it is 0 where both run the same kernels (on CPUs always); fused
kernels of a GPU round in another order."""
PROBE_TEXT = (
    "A menina comprou pão na padaria da esquina e voltou para casa antes da chuva. "
    "«Não há mais nada?», perguntou-lhe o avô às 17h30."
)


@dataclass(frozen=True)
class Part:
    """What is known of a parameter without its values."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    trained: bool


class Exporter:
    """Writes the model of a state.

    Args:
        engine: whose model is trained. Every rank makes an exporter: frozen weights, which no
            state holds, are gathered here, once, on rank 0.
        section: of the stage; how an adapter is trained stands in its record.
    """

    def __init__(self, engine: Any, tokenizer: PreTrainedTokenizerBase, section: Any) -> None:
        import transformers

        self.module = engine.module
        self.tokenizer = tokenizer
        self.section = section
        self.adapted = _is_adapted(self.module)
        self.parts = [
            Part(name, tuple(getattr(p, "ds_shape", p.shape)), p.dtype, p.requires_grad)
            for name, p in self.module.named_parameters()
        ]
        # An adapter is exported alone: the base stays where it came from.
        self.frozen = {} if self.adapted else _gather_frozen(self.module)
        transformers.utils.logging.disable_progress_bar()

    def write(self, state: Path, out: Path) -> None:
        """Write ``out/model`` (or ``out/adapter``) from the state files in ``state``."""
        with StateReader(state) as reader:
            weights = dict(self.frozen)
            for part in self.parts:
                if part.trained:
                    values = reader.read(part.name, WEIGHTS, 0, math.prod(part.shape))
                    weights[part.name] = values.to(part.dtype).view(part.shape)
        folder = out / (ADAPTER if self.adapted else MODEL)
        if self.adapted:
            section = self.section
            save_adapter(
                self.module,
                folder,
                method=section.method,
                precision=section.precision,
                lora=section.lora,
                weights=weights,
            )
        else:
            self.module.save_pretrained(folder, state_dict=weights)
        self.tokenizer.save_pretrained(folder)


def _is_adapted(module: Any) -> bool:
    from peft import PeftModel

    return isinstance(module, PeftModel)


def _gather_frozen(module: Any) -> dict[str, torch.Tensor]:
    import deepspeed
    import torch.distributed as dist

    found = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            continue
        with deepspeed.zero.GatheredParameters([parameter], enabled=hasattr(parameter, "ds_id")):
            if dist.get_rank() == 0:
                found[name] = parameter.detach().to("cpu", copy=True)
    return found


def verify_export(
    checkpoint: Checkpoint, engine: Any, tokenizer: PreTrainedTokenizerBase
) -> float | None:
    """Reload a checkpoint's model and compare it with the live one; every rank calls this.

    An adapter is not compared here but where it is merged (adaptation/merge.py).

    Args:
        engine: has just done the checkpoint's step.

    Returns:
        Largest absolute difference of a logit on PROBE_TEXT, on rank 0; None on the others, and
        for an adapter.

    Raises:
        TrainingError: weights are missing or unexpected, a logit differs by more than the
            tolerance, or the tokenizer does not give the same tokens or the text back.
    """
    import torch
    import torch.distributed as dist

    module = engine.module
    if _is_adapted(module):
        return None
    context = getattr(module.config, "max_position_embeddings", None) or 1024
    ids = tokenizer(PROBE_TEXT, add_special_tokens=False)["input_ids"]
    probe = torch.tensor([ids[:context]], device=engine.device)
    training = module.training
    module.eval()
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        live = module(input_ids=probe, use_cache=False).logits.float()
    module.train(training)
    if dist.get_rank() != 0:
        return None
    difference = float((live - _reloaded_logits(checkpoint, module, probe)).abs().max())
    share = EXPORT_TOLERANCE[str(module.dtype).removeprefix("torch.")]
    tolerance = share * float(live.abs().max())
    if not difference <= tolerance:
        raise TrainingError(
            f"the model in {checkpoint.model} gives logits that differ by {difference:.3g} from "
            f"the trained model's (allowed {tolerance:g}): do not use it"
        )
    _verify_tokenizer(checkpoint.model, tokenizer, ids)
    return difference


def _reloaded_logits(checkpoint: Checkpoint, module: Any, probe: torch.Tensor) -> torch.Tensor:
    import torch
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(
        checkpoint.model,
        dtype=module.dtype,
        attn_implementation=module.config._attn_implementation,
        output_loading_info=True,
    )
    model, report = loaded
    wrong = sorted({*report["missing_keys"], *report["unexpected_keys"]})
    if wrong:
        raise TrainingError(
            f"{checkpoint.model} lacks weights or has too many: {', '.join(wrong[:5])}"
        )
    with torch.no_grad():
        return model.to(probe.device).eval()(input_ids=probe, use_cache=False).logits.float()


def _verify_tokenizer(model: Path, live: PreTrainedTokenizerBase, ids: list[int]) -> None:
    from transformers import AutoTokenizer

    reloaded: Any = AutoTokenizer.from_pretrained(model)
    again = reloaded(PROBE_TEXT, add_special_tokens=False)["input_ids"]
    if again != ids or reloaded.decode(again) != live.decode(ids) or len(reloaded) != len(live):
        raise TrainingError(
            f"the tokenizer in {model} is not the one that was trained with: it gives "
            f"{len(again)} tokens for a probe of {len(ids)}"
        )
