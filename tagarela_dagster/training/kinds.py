"""Kinds of training stages: where each is implemented, and the version of its logic.

A kind is a module with ``train(run: StageRun) -> dict``, called in every rank once the run folder
is locked and claimed (training/stage.py). What rank 0's call returns becomes ``result.json``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of stage.

    Attributes:
        module: the module with ``train``, imported in the ranks only.
        logic: raise it when the same recipe and inputs give another result.
        speaks: whether its model is a language model, to be scored as a checkpoint.
    """

    module: str
    logic: str = "1"
    speaks: bool = True


_ROOM = "tagarela_dagster.training"

KINDS: dict[str, Kind] = {
    "base": Kind(f"{_ROOM}.adaptation.base"),
    "surgery": Kind(f"{_ROOM}.adaptation.surgery"),
    "pretrain": Kind(f"{_ROOM}.pretraining.pretrain", logic="3"),
    "sft": Kind(f"{_ROOM}.alignment.sft", logic="2"),
    "preference": Kind(f"{_ROOM}.alignment.preference"),
    "reward": Kind(f"{_ROOM}.alignment.reward", speaks=False),
    "grpo": Kind(f"{_ROOM}.alignment.grpo"),
    "prune": Kind(f"{_ROOM}.pruning.prune"),
    "distill": Kind(f"{_ROOM}.pruning.distill"),
    "average": Kind(f"{_ROOM}.merging.average"),
    "merge": Kind(f"{_ROOM}.merging.merge"),
    "release": Kind(f"{_ROOM}.adaptation.release"),
}
