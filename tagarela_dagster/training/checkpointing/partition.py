"""Partition: what one rank holds of the training state, whichever ZeRO stage laid it out.

DeepSpeed keeps the fp32 weights that the optimizer updates in *flat* tensors: a rank's share of
many parameters end to end (stages 1 to 3), or one for each parameter (stage 0). Here every flat
tensor is listed with the *fragments* of parameters that it holds. A checkpoint that names
parameters and ranges instead of ranks can be read by any number of ranks and at any stage: the
idea of universal checkpoints (arXiv 2406.18820), without DeepSpeed's converter, which knows Adam
only, not stage 0, and gives every group of a stage-3 optimizer the first group's weight decay
(0.19.8, runtime/zero/stage3.py, load_hp_checkpoint_state_from_checkpoint_dir_stage3).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    import torch

WEIGHTS = "weights"
"""Key of the fp32 weights beside the keys of the optimizer's state (``exp_avg``, …)."""


@dataclass(frozen=True)
class Fragment:
    """Elements ``offset`` to ``offset + count`` of a parameter, at ``start`` of a flat tensor."""

    parameter: str
    start: int
    offset: int
    count: int


@dataclass
class Flat:
    """A flat tensor of fp32 weights on this rank.

    Attributes:
        weights: the tensor; what the optimizer has as a parameter.
        optimizer: the optimizer whose ``state`` is kept beside it.
        saved: whether this rank writes it to checkpoints; every rank has all of stage 0.
        swap: stage 3's number of a tensor that is on NVMe between steps.
    """

    weights: torch.Tensor
    optimizer: Any
    saved: bool = True
    swap: int | None = None
    fragments: list[Fragment] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """The optimizer's state; empty before the first step."""
        return self.optimizer.state[self.weights]

    def tensors(self) -> dict[str, torch.Tensor]:
        """Weights and every tensor of the state that has an entry for each of them."""
        found = {WEIGHTS: self.weights}
        for key, value in self.state().items():
            if _is_tensor(value) and value.numel() == self.weights.numel() and value.dim():
                found[key] = value
        return {key: value.detach().view(-1) for key, value in found.items()}

    def scalars(self) -> dict[str, float]:
        """The state's other values: the step that bias correction counts."""
        tensors = self.tensors()
        return {key: float(value) for key, value in self.state().items() if key not in tensors}


class Partition:
    """This rank's share of weights and optimizer state.

    Raises:
        TrainingError: DeepSpeed's optimizer is of a class that is not known here.
    """

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.names: dict[Any, str] = {p: n for n, p in engine.module.named_parameters()}
        wrapper = engine.optimizer
        if engine.zero_optimization_stage() == 3:
            self.flats = self._stage_3(wrapper)
        elif hasattr(wrapper, "update_lp_params"):
            self.flats = self._stages_1_and_2(wrapper)
        else:
            self.flats = self._stage_0(wrapper)

    def _stage_0(self, wrapper: Any) -> list[Flat]:
        import torch
        import torch.distributed as dist

        if isinstance(wrapper, torch.optim.Optimizer):
            own = [p for group in wrapper.param_groups for p in group["params"]]
            pairs = list(zip(own, own, strict=True))
        elif type(wrapper).__name__ == "FP16_UnfusedOptimizer":
            groups = zip(wrapper.fp16_groups, wrapper.fp32_groups, strict=True)
            pairs = [pair for group in groups for pair in zip(*group, strict=True)]
            wrapper = wrapper.optimizer
        else:
            raise TrainingError(
                f"checkpoints do not know DeepSpeed's {type(wrapper).__name__}: use zero_stage 1"
            )
        rank, world = dist.get_rank(), dist.get_world_size()
        return [
            Flat(
                weights,
                wrapper,
                saved=number % world == rank,
                fragments=[Fragment(self.names[parameter], 0, 0, weights.numel())],
            )
            for number, (parameter, weights) in enumerate(pairs)
        ]

    def _stages_1_and_2(self, wrapper: Any) -> list[Flat]:
        bf16 = hasattr(wrapper, "bf16_groups")  # stage 1 with fp32 accumulation of gradients
        groups = wrapper.bf16_groups if bf16 else wrapper.bit16_groups
        flats = [
            Flat(weights, wrapper.optimizer)
            for weights in (
                wrapper.fp32_groups_flat_partition
                if bf16
                else wrapper.single_partition_of_fp32_groups
            )
        ]
        for flat, parameters in zip(flats, groups, strict=True):
            for parameter in parameters:
                found = parameter._hp_mapping
                if found is not None:
                    here, there = found.hp_fragment_address, found.lp_fragment_address
                    name = self.names[parameter]
                    flat.fragments.append(Fragment(name, here.start, there.start, here.numel))
        return flats

    def _stage_3(self, wrapper: Any) -> list[Flat]:
        flats = []
        for number, parameters in enumerate(wrapper.fp16_groups):
            swapped = wrapper._swappable_optimizer_subgroup(number)
            flat = Flat(
                wrapper.fp32_partitioned_groups_flat[number],
                wrapper.optimizer,
                swap=number if swapped else None,
            )
            start = 0
            for parameter in parameters:
                size = parameter.partition_numel()
                offset = wrapper._get_param_partition_rank(parameter) * size
                count = min(size, parameter.ds_numel - offset)
                if count > 0:
                    flat.fragments.append(Fragment(self.names[parameter], start, offset, count))
                start += size
            flats.append(flat)
        return flats

    @contextmanager
    def held(self, flat: Flat, *, changed: bool = False) -> Iterator[Flat]:
        """Have a flat tensor and its state in memory, and written back if they are ``changed``."""
        if flat.swap is None:
            yield flat
            return
        wrapper = self.engine.optimizer
        wrapper._optimizer_states_and_gradient_swap_in(flat.swap)
        yield flat
        if changed:
            wrapper._optimizer_states_and_gradient_swap_out(flat.swap)
        else:
            wrapper._release_swap_buffers(flat.swap)

    def apply(self) -> None:
        """Give the model the fp32 weights; every rank calls this after changing them."""
        wrapper = self.engine.optimizer
        if self.engine.zero_optimization_stage() == 3:
            wrapper._partition_all_parameters()
            for number, flat in enumerate(self.flats):
                with self.held(flat):
                    wrapper._reassign_or_swap_out_partitioned_parameters(number)
            wrapper.checkpoint_event_epilogue()
        elif hasattr(wrapper, "update_lp_params"):
            wrapper.update_lp_params()
        elif hasattr(wrapper, "fp32_groups"):
            for low, high in zip(wrapper.fp16_groups, wrapper.fp32_groups, strict=True):
                for parameter, weights in zip(low, high, strict=True):
                    parameter.data.copy_(weights.data)


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)
