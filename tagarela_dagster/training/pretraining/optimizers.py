"""Optimizers: AdamW, or Muon for the matrices of hidden layers beside AdamW for the rest.

Either is one torch optimizer, which DeepSpeed wraps; the loop sets its rates before each step.
Weight decay is decoupled (arXiv 1711.05101) and leaves out norms, biases and embeddings.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.pretraining import Muon, Pretrain
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import parameter_groups
from tagarela_dagster.training.pretraining import muon
from tagarela_dagster.training.pretraining.schedule import learning_rate

if TYPE_CHECKING:
    import torch


def build_optimizer(
    model: Any, section: Pretrain, apart: Sequence[dict[str, Any]] = ()
) -> torch.optim.Optimizer:
    """Optimizer over the trained parameters of ``model``; its rates are 0 until they are set.

    DeepSpeed takes a step with zero gradients to allocate its state, which must not decay the
    weights. Muon needs ``attach`` once DeepSpeed has divided the parameters.

    Args:
        apart: groups of AdamW for parameters that are no weights (masks, multipliers), with
            settings of torch.optim.AdamW and ``peak``, the highest rate on the section's schedule.
    """
    import torch

    known = {id(parameter) for group in apart for parameter in group["params"]}
    groups = parameter_groups(model, section.weight_decay)
    for group in groups:
        group["params"] = [p for p in group["params"] if id(p) not in known]
    kind: Any = torch.optim.AdamW
    if section.optimizer == "muon":
        groups = _matrices_apart(model, groups, section.muon)
        kind = _muon_adamw()
    found: torch.optim.Optimizer = kind(
        [group for group in [*groups, *apart] if group["params"]],
        lr=0.0,
        betas=(section.beta1, section.beta2),
        fused=True,
    )
    return found


def set_learning_rates(optimizer: Any, section: Pretrain, step: int) -> float:
    """Set every group's rate for step ``step`` (from 0); AdamW's is returned."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, section, group.get("peak"))
    return learning_rate(step, section)


def attach(engine: Any) -> None:
    """Tell a DeepSpeed engine's Muon where its matrices lie in the shards of the ranks.

    To be called after ``deepspeed.initialize``. Does nothing for AdamW, and for stage 0, where
    matrices are whole.
    """
    import torch.distributed as dist

    zero, optimizer = engine.optimizer, engine.basic_optimizer
    if not hasattr(optimizer, "exchanges"):
        return
    groups = optimizer.param_groups
    ranks = dist.get_world_size()
    found: dict[torch.Tensor, list[muon.Matrix]] = {}
    if hasattr(zero, "fp32_partitioned_groups_flat"):  # stage 3
        for i, shard in enumerate(zero.fp32_partitioned_groups_flat):
            shapes = [parameter.ds_shape for parameter in zero.fp16_groups[i]]
            if groups[zero.sub_group_to_group_id[i]].get("muon"):
                found[shard] = muon.interleaved(shapes, ranks)
    elif hasattr(zero, "round_robin_bit16_groups"):  # stages 1 and 2
        for i, shard in enumerate(zero.single_partition_of_fp32_groups):
            shapes = [parameter.shape for parameter in zero.round_robin_bit16_groups[i]]
            offsets = zero.round_robin_bit16_offsets[i]
            if groups[i].get("muon"):
                found[shard] = muon.consecutive(shapes, offsets, shard.numel())
    optimizer.exchanges = {
        shard: muon.Exchange(matrices, dist.get_rank(), ranks, engine.device)
        for shard, matrices in found.items()
    }


def _matrices_apart(model: Any, groups: list[dict[str, Any]], section: Muon) -> list[Any]:
    """A first group with the matrices of hidden layers, then the others without them. The head is
    no such matrix: its rows, like an embedding's, stand for tokens (github.com/KellerJordan/Muon,
    README)."""
    head = model.get_output_embeddings()
    heads = {id(parameter) for parameter in head.parameters()} if head is not None else set()
    decayed, *others = groups
    hidden: list[Any] = []
    rest: list[Any] = []
    for parameter in decayed["params"]:
        matrix = _dimensions(parameter) == 2 and id(parameter) not in heads
        (hidden if matrix else rest).append(parameter)
    return [
        {
            **decayed,
            "params": hidden,
            "muon": True,
            "peak": section.learning_rate,
            "momentum": section.momentum,
            "newton_schulz_steps": section.newton_schulz_steps,
        },
        {**decayed, "params": rest},
        *others,
    ]


def _dimensions(parameter: Any) -> int:
    """Dimensions of a parameter, also where ZeRO 3 has divided it already."""
    return len(getattr(parameter, "ds_shape", parameter.shape))


@functools.cache
def _muon_adamw() -> Any:
    """The class of the optimizer, made where torch is loaded."""
    import torch

    class MuonAdamW(torch.optim.AdamW):
        """AdamW whose groups marked ``muon`` are stepped by Muon."""

        def __init__(self, groups: list[dict[str, Any]], **settings: Any) -> None:
            super().__init__(groups, **settings)
            self.exchanges: dict[torch.Tensor, muon.Exchange] = {}
            """Of each shard that holds parts of matrices."""

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            groups = self.param_groups
            self.param_groups = [group for group in groups if not group.get("muon")]
            try:
                loss = super().step(closure)
            finally:
                self.param_groups = groups
            for group in groups:
                for parameter in group["params"] if group.get("muon") else ():
                    if parameter.grad is not None:
                        self._step_matrices(parameter, group)
            return loss

        def _step_matrices(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
            """A step of a matrix, or of a shard with parts of many."""
            state = self.state[parameter]
            gradient = parameter.grad
            assert gradient is not None
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"]
            momentum.lerp_(gradient, 1 - group["momentum"])
            ahead = gradient.lerp(momentum, group["momentum"])  # Nesterov
            steps = group["newton_schulz_steps"]
            if parameter.dim() == 2:
                update = muon.update_of(ahead, steps)
            elif parameter in self.exchanges:
                update = self.exchanges[parameter].update(ahead, steps)
            elif ahead.any():
                raise TrainingError(
                    "Muon has a shard of matrices and was not told where they lie: call "
                    "optimizers.attach(engine) after deepspeed.initialize"
                )
            else:
                return  # DeepSpeed allocates its state
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update, alpha=-group["lr"])

    return MuonAdamW
