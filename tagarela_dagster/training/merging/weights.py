"""Model folders of one shape, tensor by tensor: memory is a shard, whatever the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

INDEX = "model.safetensors.index.json"
WEIGHTS = "model*.safetensors"
Combine = Callable[[Mapping[str, "Tensor"]], "Tensor"]
"""Tensors of one name, by model -> the merged tensor."""


def merge_weights(models: Mapping[str, Path], out: Path, combine: Combine) -> None:
    """Write the merged model to ``out``: files, types, configuration and tokenizer as the first's.

    Raises:
        TrainingError: the models differ in names, shapes or vocabulary.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    require_one_shape(models)
    first = next(iter(models))
    out.mkdir(parents=True)
    with ExitStack() as stack:

        def opened(path: Path) -> Any:
            return stack.enter_context(safe_open(path, framework="pt"))

        files = {name: _by_tensor(folder, opened) for name, folder in models.items()}
        for shard in sorted(models[first].glob(WEIGHTS)):
            merged = {}
            for tensor in opened(shard).keys():  # noqa: SIM118 (a file, not a mapping)
                parts = {name: files[name][tensor].get_tensor(tensor) for name in models}
                merged[tensor] = combine(parts).to(parts[first].dtype).contiguous()
            save_file(merged, out / shard.name, metadata={"format": "pt"})
    for path in sorted(models[first].iterdir()):
        if path.is_file() and not path.match("*.safetensors"):
            shutil.copyfile(path, out / path.name)


def require_one_shape(models: Mapping[str, Path]) -> None:
    """Raise TrainingError, naming what differs, unless all models have the same tensors and
    tokenizer."""
    (first, folder), *others = models.items()
    shapes, vocabulary = tensor_shapes(folder), _tokenizer(folder)
    for name, other in others:
        found = tensor_shapes(other)
        for tensor in sorted(shapes.keys() | found.keys()):
            if shapes.get(tensor) != found.get(tensor):
                raise TrainingError(
                    f"{name} is not of {first}'s shape: {tensor} is {found.get(tensor)} against "
                    f"{shapes.get(tensor)}; only models of one shape can be merged"
                )
        if _tokenizer(other) != vocabulary:
            raise TrainingError(
                f"{name} and {first} have different tokenizers: the same row of their embeddings "
                "stands for different words"
            )


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of a model folder, from the files' headers."""
    from safetensors import safe_open

    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob(WEIGHTS)):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                found[name] = tuple(file.get_slice(name).get_shape())
    if not found:
        raise TrainingError(f"{folder} holds no {WEIGHTS}")
    return found


def _by_tensor(folder: Path, opened: Callable[[Path], Any]) -> dict[str, Any]:
    """Tensor -> the open file that it is in."""
    index = folder / INDEX
    if index.is_file():
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = {name: opened(folder / name) for name in sorted(set(places.values()))}
        return {tensor: files[name] for tensor, name in places.items()}
    (path,) = folder.glob(WEIGHTS)
    file = opened(path)
    return dict.fromkeys(file.keys(), file)


def _tokenizer(folder: Path) -> str:
    path = folder / "tokenizer.json"
    return hash_file(path) if path.is_file() else ""
