"""State files: fp32 weights and optimizer state of a step, one safetensors file a rank.

``state/rank-00000.safetensors`` holds the rank's flat tensors (partition.py) as ``0.weights``,
``0.exp_avg``, ``1.weights``, …; its metadata says, as JSON under ``layout``, which range of which
parameter lies where, and the scalars. Read together the files hold every element of every trained
parameter once. No pickle anywhere.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.checkpointing.partition import Fragment, Partition
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    import torch

LAYOUT = "layout"
RANDOM, RANDOM_CUDA = "random", "random_cuda"
"""States of torch's generators, for dropout."""
COUNTERS = ("global_steps", "global_samples", "skipped_steps")
"""DeepSpeed's own counts."""


def rank_file(rank: int) -> str:
    """Name of a rank's file."""
    return f"rank-{rank:05d}.safetensors"


class Snapshot:
    """A copy of a partition in host memory, and the memory it is kept in.

    The memory is allocated once (page-locked beside a GPU) and holds one step at a time.
    """

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.tensors: dict[str, torch.Tensor] = {}
        self.layout: dict[str, Any] = {}

    @property
    def bytes(self) -> int:
        """Size of what was taken last."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def take(self) -> None:
        """Copy the present state; training may go on when this returns."""
        import torch

        engine = self.partition.engine
        kept, self.tensors, flats = self.tensors, {}, []
        saved = (flat for flat in self.partition.flats if flat.saved)
        for number, flat in enumerate(saved):
            with self.partition.held(flat):
                for key, tensor in flat.tensors().items():
                    self._copy(kept, f"{number}.{key}", tensor)
                fragments = [astuple(fragment) for fragment in flat.fragments]
                flats.append({"scalars": flat.scalars(), "fragments": fragments})
        self._copy(kept, RANDOM, torch.get_rng_state())
        if torch.cuda.is_available():
            self._copy(kept, RANDOM_CUDA, torch.cuda.get_rng_state(engine.device))
            torch.cuda.synchronize(engine.device)
        self.layout = {
            "flats": flats,
            "counters": {name: getattr(engine, name) for name in COUNTERS},
        }

    def _copy(self, kept: dict[str, torch.Tensor], key: str, tensor: torch.Tensor) -> None:
        import torch

        host = kept.get(key)
        if host is None or (host.shape, host.dtype) != (tensor.shape, tensor.dtype):
            host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
        host.copy_(tensor, non_blocking=True)
        self.tensors[key] = host

    def write(self, path: Path) -> None:
        """Write the copy as a state file."""
        from safetensors.torch import save_file

        save_file(self.tensors, path, metadata={LAYOUT: json.dumps(self.layout)})


class StateReader:
    """Reads ranges of parameters from a checkpoint's state, without loading the files.

    Args:
        folder: ``state`` of a checkpoint, or of one that is being written.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        self._stack = ExitStack()
        self._folder = folder
        self._pieces: dict[str, list[tuple[Any, int, Fragment]]] = {}
        self._scalars: dict[str, dict[str, float]] = {}
        self.counters: dict[str, int] = {}
        self._files = [
            self._stack.enter_context(safe_open(path, framework="pt"))
            for path in sorted(folder.glob("rank-*.safetensors"))
        ]
        for file in self._files:
            layout = json.loads(file.metadata()[LAYOUT])
            self.counters = self.counters or layout["counters"]
            for number, flat in enumerate(layout["flats"]):
                for values in flat["fragments"]:
                    fragment = Fragment(*values)
                    self._pieces.setdefault(fragment.parameter, []).append((file, number, fragment))
                    self._scalars[fragment.parameter] = flat["scalars"]

    def __enter__(self) -> StateReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def parameters(self) -> dict[str, int]:
        """Elements of each parameter that it holds."""
        return {
            name: sum(fragment.count for _, _, fragment in pieces)
            for name, pieces in self._pieces.items()
        }

    def keys(self, parameter: str) -> list[str]:
        """``weights`` and the keys of the optimizer's state of a parameter."""
        file, number, _ = self._pieces[parameter][0]
        prefix = f"{number}."
        return [k.removeprefix(prefix) for k in file.keys() if k.startswith(prefix)]  # noqa: SIM118

    def scalars(self, parameter: str) -> dict[str, float]:
        """Scalars of the optimizer's state of a parameter."""
        return self._scalars[parameter]

    def read(self, parameter: str, key: str, offset: int, count: int) -> torch.Tensor:
        """Elements ``offset`` to ``offset + count`` of a parameter's weights or state, (count,).

        Raises:
            TrainingError: the files don't hold every one of them.
        """
        import torch

        parts: list[torch.Tensor] = []
        at = offset
        for file, number, piece in sorted(
            self._pieces.get(parameter, []), key=lambda found: found[2].offset
        ):
            begin = max(at, piece.offset)
            end = min(offset + count, piece.offset + piece.count)
            if begin >= end:
                continue
            if begin > at:
                break
            shift = piece.start - piece.offset
            parts.append(file.get_slice(f"{number}.{key}")[begin + shift : end + shift])
            at = end
        if at != offset + count:
            raise TrainingError(
                f"{self._folder} lacks elements of {parameter} ({key}) from {at} on"
            )
        return torch.cat(parts) if len(parts) != 1 else parts[0]

    def random(self, rank: int) -> dict[str, torch.Tensor]:
        """States of a rank's random generators."""
        file = self._files[rank]
        found = set(file.keys())
        return {key: file.get_tensor(key) for key in (RANDOM, RANDOM_CUDA) if key in found}
