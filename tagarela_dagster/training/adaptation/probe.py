"""Probe: a little text on which two models are shown to be the same function, or how far from it.

Written for this project and in no training data of its recipes, so that a loss on it is a
held-out loss.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    import torch

PROBE_TEXT = (
    "Quando a maré baixa, as pescadoras descem à praia com os baldes e apanham berbigão até o sol "
    "nascer. À tarde, o ônibus das 17h35 leva-as de volta à vila; ninguém fala muito, porque o "
    "cansaço é grande e a estrada, má. — Amanhã há mais — disse a mais velha, e riu-se."
)
PROBE_TOKENS = 64
PROBE_FILE = "probe.safetensors"
_ONTO = "merged_onto"


def probe_ids(tokenizer: Any, context: int) -> list[int]:
    """Token ids of the probe text, at most PROBE_TOKENS of them and no more than ``context``."""
    ids = tokenizer(PROBE_TEXT, add_special_tokens=False)["input_ids"]
    return ids[: min(PROBE_TOKENS, context)]


def probe_logits(model: Any, ids: list[int]) -> torch.Tensor:
    """Logits of ``ids``, (tokens, vocabulary), fp32 on the CPU. Raises TrainingError when one is
    no number."""
    import torch

    with torch.no_grad():
        given = torch.tensor([ids], device=model.device)
        logits = model(input_ids=given, use_cache=False).logits[0].float().cpu()
    if not torch.isfinite(logits).all():
        raise TrainingError("the model's logits on the probe text are no finite numbers")
    return logits


def largest_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest absolute difference of a logit."""
    return float((one - other).abs().max())


def divergence(reference: torch.Tensor, other: torch.Tensor) -> float:
    """Kullback-Leibler divergence of the next-token distributions, mean in nats a token."""
    import torch

    return float(
        torch.nn.functional.kl_div(
            other.double().log_softmax(-1),
            reference.double().log_softmax(-1),
            log_target=True,
            reduction="batchmean",
        )
    )


def loss(logits: torch.Tensor, ids: list[int]) -> float:
    """Mean negative log-likelihood of the probe, in nats a token."""
    import torch

    return float(torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:])))


def write_probe(folder: Path, ids: list[int], logits: torch.Tensor, onto: str) -> None:
    """Keep an adapted model's answer beside its adapter: whoever has a model that is said to be
    merged from it can compare, without the weights that the adapter stood beside."""
    import torch
    from safetensors.torch import save_file

    tensors = {"ids": torch.tensor(ids), "logits": logits.contiguous()}
    save_file(tensors, folder / PROBE_FILE, metadata={_ONTO: onto})


def read_probe(folder: Path) -> tuple[list[int], torch.Tensor, str]:
    """Token ids, logits, and what the adapter was merged onto. Raises TrainingError."""
    from safetensors import safe_open

    path = folder / PROBE_FILE
    if not path.is_file():
        raise TrainingError(f"{folder} has no {PROBE_FILE}: the adapter was never merged")
    with safe_open(path, "pt") as file:
        onto = file.metadata()[_ONTO]
        return file.get_tensor("ids").tolist(), file.get_tensor("logits"), onto
