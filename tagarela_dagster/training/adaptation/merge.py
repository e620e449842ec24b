"""Merge an adapter into its model, in fp32, and show that both are the same function.

A QLoRA adapter was trained beside dequantised(W4), not beside W. Merged into W the model differs
from the trained one by the error of quantisation, which users report as lost quality
(huggingface/transformers #31293, huggingface/peft #1388, #2321). So it is merged onto the
dequantised weights unless the recipe says otherwise, and what the other choice would have given
is measured and noted either way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.adaptation.lora import local_device, read_adapter_record
from tagarela_dagster.training.adaptation.probe import (
    largest_difference,
    loss,
    probe_logits,
    write_probe,
)
from tagarela_dagster.training.adaptation.quantised import (
    held_weights,
    load_quantised,
    torch_dtype,
)
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MERGE_TOLERANCE = 1e-3
"""Largest difference of a logit between a model with its adapter and the merged one, in fp32."""
ORIGINAL_TOLERANCE = 0.05
"""``original``: how much higher the merged model's loss on the probe may be, in nats a token.
Quantising a model to nf4 moves its loss by about as much (arXiv 2305.14314, table 2)."""
DEQUANTISED, ORIGINAL = "dequantised", "original"


@dataclass(frozen=True)
class MergeReport:
    """What a merge changed; logits in fp32, losses in nats a token of the probe."""

    merge_onto: str
    """``original``, or for QLoRA ``dequantised``."""
    merge_logit_difference: float
    """Largest difference of a logit between adapter and merged model."""
    merge_tolerance: float
    loss_adapter: float
    loss_merged: float
    loss_merged_otherwise: float | None = None
    """QLoRA: had it been merged onto the other weights."""
    quantisation_logit_difference: float | None = None
    """QLoRA: largest difference of a logit between adapter and the model merged onto W."""

    def as_json(self) -> dict[str, Any]:
        """Its values that there are."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def merge_adapter(
    model: Path,
    adapter: Path,
    out: Path,
    tokenizer: PreTrainedTokenizerBase,
    probe: list[int],
    *,
    onto: str = DEQUANTISED,
) -> MergeReport:
    """Merge in fp32, compare with the unmerged model, write ``out`` in the base's type.

    The adapted model's logits of the probe stay beside the adapter (probe.safetensors), for a
    release to be compared with.

    Args:
        model: folder of the model that the adapter was trained beside.
        adapter: adapter folder with its record (lora.py).
        probe: token ids to compare on.
        onto: QLoRA: ``dequantised`` or ``original`` weights.

    Raises:
        TrainingError: the merged model differs by more than is allowed; nothing is written.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoConfig

    record = read_adapter_record(adapter)
    quantised = record["method"] == "qlora"
    if quantised:
        base = load_quantised(
            model,
            stored=torch_dtype(record["precision"]),
            compute=torch.float32,
            double=record["double_quantisation"],
            device=local_device(),
        )
    else:
        base, onto = _plain(model), ORIGINAL
    adapted = PeftModel.from_pretrained(base, adapter).eval()
    wanted = probe_logits(adapted, probe)
    if quantised:
        # One fp32 model at a time: the other choice is measured and let go first.
        held = adapted.unload()
        other = ORIGINAL if onto == DEQUANTISED else DEQUANTISED
        otherwise = probe_logits(_merged(model, adapter, held, other), probe)
        merged = _merged(model, adapter, held, onto)
    else:
        merged = adapted.merge_and_unload()
    found = probe_logits(merged, probe)
    report = MergeReport(
        merge_onto=onto,
        merge_logit_difference=largest_difference(wanted, found),
        merge_tolerance=MERGE_TOLERANCE,
        loss_adapter=loss(wanted, probe),
        loss_merged=loss(found, probe),
    )
    if quantised:
        original = found if onto == ORIGINAL else otherwise
        report = replace(
            report,
            loss_merged_otherwise=loss(otherwise, probe),
            quantisation_logit_difference=largest_difference(wanted, original),
        )
    _require_equal(report, adapter, quantised=quantised)
    merged.to(AutoConfig.from_pretrained(model).dtype or torch.float32)
    merged.save_pretrained(out)
    tokenizer.save_pretrained(out)
    write_probe(adapter, probe, wanted, report.merge_onto)
    return report


def _plain(model: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float32, use_safetensors=True, local_files_only=True
    )


def _merged(model: Path, adapter: Path, held: Any, onto: str) -> Any:
    """Model in fp32 with the adapter merged into its own weights, or into those of ``held``."""
    import torch
    from peft import PeftModel

    plain = _plain(model)
    if onto == DEQUANTISED:
        with torch.no_grad():
            for name, weight in held_weights(held):
                plain.get_parameter(name).copy_(weight)
    return PeftModel.from_pretrained(plain, adapter).eval().merge_and_unload()


def _require_equal(report: MergeReport, adapter: Path, *, quantised: bool) -> None:
    if quantised and report.merge_onto == ORIGINAL:
        more = report.loss_merged - report.loss_adapter
        if not more <= ORIGINAL_TOLERANCE:
            raise TrainingError(
                f"merged onto the original weights the loss rises by {more:.3g} nats a token "
                f"(allowed {ORIGINAL_TOLERANCE:g}): set lora.merge_onto: dequantised; the "
                f"adapter in {adapter} is whole"
            )
    elif not report.merge_logit_difference <= MERGE_TOLERANCE:
        raise TrainingError(
            f"the merged model's logits differ by {report.merge_logit_difference:.2g} from the "
            f"adapter's (allowed {MERGE_TOLERANCE:g}): the adapter in {adapter} is whole, the "
            "merged model is not kept"
        )
