"""Optimizers: AdamW, or Muon for the matrices of hidden layers beside AdamW for the rest.

Either is one torch optimizer, which DeepSpeed wraps; the loop sets its rates before each step.
Weight decay is decoupled (arXiv 1711.05101) and leaves out norms, biases and embeddings.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.pretraining import Muon, Pretrain
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import parameter_groups
from tagarela_dagster.training.pretraining import muon
from tagarela_dagster.training.pretraining.schedule import learning_rate

if TYPE_CHECKING:
    import torch


def build_optimizer(model: Any, section: Pretrain) -> torch.optim.Optimizer:
    """Optimizer over the trained parameters of ``model``; its rates are 0 until they are set.

    DeepSpeed takes a step with zero gradients to allocate its state, which must not decay the
    weights. ``attach`` is to be called once DeepSpeed has it, and after loading a checkpoint.
    """
    import torch

    settings: dict[str, Any] = {
        "lr": 0.0,
        "betas": (section.beta1, section.beta2),
        "fused": True,
    }
    groups = parameter_groups(model, section.weight_decay)
    if section.optimizer == "muon":
        groups = _matrices_apart(model, groups, section.muon)
    groups = [group for group in groups if group["params"]]
    kind = torch.optim.AdamW if section.optimizer == "adamw" else _muon_adamw()
    optimizer: Any = kind(groups, **settings)
    optimizer.settings = [
        {name: value for name, value in group.items() if name not in ("params", "lr")}
        for group in optimizer.param_groups
    ]
    return optimizer


def set_learning_rates(optimizer: Any, section: Pretrain, step: int) -> float:
    """Set every group's rate for step ``step`` (from 0); AdamW's is returned.

    Args:
        optimizer: of ``build_optimizer``, or DeepSpeed's around it.
    """
    optimizer = _own(optimizer)
    rate = learning_rate(step, section)
    for group, settings in zip(optimizer.param_groups, optimizer.settings, strict=True):
        matrices = learning_rate(step, section, section.muon.learning_rate)
        # A universal checkpoint of ZeRO 3 gives all groups the settings of the first, weight decay
        # too (deepspeed 0.19.8, stage3.py, load_hp_checkpoint_state_from_checkpoint_dir_stage3).
        group.update(settings, lr=matrices if settings.get("muon") else rate)
    return rate


def attach(engine: Any) -> None:
    """Make the optimizer fit a DeepSpeed engine that was initialized or has loaded a checkpoint.

    Muon learns where its matrices lie in the shards of the ranks; stage 0 keeps them whole. And
    each parameter counts its own steps: a universal checkpoint of ZeRO 3 gives all one counter,
    which then runs as many times too fast for Adam's bias correction as there are groups.
    """
    import torch
    import torch.distributed as dist

    zero = engine.optimizer
    optimizer = _own(zero)
    for state in optimizer.state.values():
        if torch.is_tensor(state.get("step")):
            state["step"] = state["step"].clone()
    if not hasattr(optimizer, "exchanges"):
        return
    rank, ranks = dist.get_rank(), dist.get_world_size()
    found: dict[torch.Tensor, list[muon.Matrix]] = {}
    if hasattr(zero, "fp32_partitioned_groups_flat"):  # stage 3
        for i, shard in enumerate(zero.fp32_partitioned_groups_flat):
            shapes = [parameter.ds_shape for parameter in zero.fp16_groups[i]]
            if optimizer.settings[zero.sub_group_to_group_id[i]]["muon"]:
                found[shard] = muon.interleaved(shapes, ranks)
    elif hasattr(zero, "round_robin_bit16_groups"):  # stages 1 and 2
        for i, shard in enumerate(zero.single_partition_of_fp32_groups):
            shapes = [parameter.shape for parameter in zero.round_robin_bit16_groups[i]]
            offsets = zero.round_robin_bit16_offsets[i]
            if optimizer.settings[i]["muon"]:
                found[shard] = muon.consecutive(shapes, offsets, shard.numel())
    optimizer.exchanges = {
        shard: muon.Exchange(matrices, rank, ranks) for shard, matrices in found.items()
    }


def _own(optimizer: Any) -> Any:
    """The optimizer of ``build_optimizer`` inside DeepSpeed's."""
    return optimizer if hasattr(optimizer, "settings") else optimizer.optimizer


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
            "momentum": section.momentum,
            "newton_schulz_steps": section.newton_schulz_steps,
        },
        {**decayed, "params": rest, "muon": False},
        *({**group, "muon": False} for group in others),
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

        def __setstate__(self, state: dict[str, Any]) -> None:
            super().__setstate__(state)
            for group in self.param_groups:
                for parameter in group["params"] if group["muon"] else ():
                    # Loading gives all state the type of its parameter.
                    if known := self.state.get(parameter):
                        known["exp_avg_sq"] = known["exp_avg_sq"].to(torch.uint8)

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            groups = self.param_groups
            self.param_groups = [group for group in groups if not group["muon"]]
            try:
                loss = super().step(closure)
            finally:
                self.param_groups = groups
            for group in groups:
                for parameter in group["params"] if group["muon"] else ():
                    if parameter.grad is not None:
                        self._step_matrices(parameter, group)
            return loss

        def _step_matrices(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
            """A step of a matrix, or of a shard with parts of many."""
            state = self.state[parameter]
            gradient = parameter.grad
            assert gradient is not None
            if not state:
                # The names under which torch and DeepSpeed's universal checkpoints look for
                # Adam's state; the last one is not used, takes a byte and stays 0.
                state["step"] = torch.zeros(())
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter, dtype=torch.uint8)
            state["step"] += 1
            momentum = state["exp_avg"]
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
