"""A model as the difference to its base, and the base plus the difference as the model again.

Somebody who may not give a base's weights away gives away the difference (as LLaMAntino, Vicuna
and others did); whoever has the base makes the model from both.

    delta.json            precision, hashes of the base's files, of these files and of the result
    model*.safetensors    for each tensor the exclusive or of its bit pattern with the base's
    config.json, …        all other files of the model, as they are

Both sides are cast to the delta's precision first (to nearest even, the same everywhere). An
exclusive or of bit patterns gives the model back bit for bit, which the sum of a rounded
difference would not. A tensor that the base lacks, or has in another shape (a new vocabulary), is
stored whole. A shard of the delta has the tensors of the model's shard of that name, so memory
holds two shards at most.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.provenance.files import atomic_write, replace_folder
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.recipe.stage import Precision
from tagarela_dagster.training.adaptation.inspection import weight_files
from tagarela_dagster.training.adaptation.quantised import torch_dtype
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    import torch

DELTA_RECORD = "delta.json"
FORMAT_VERSION = 1
XOR, WHOLE = "xor", "whole"
_METADATA = {"format": "pt"}


def write_delta(
    model: Path, base: Path, out: Path, precision: Precision, base_name: dict[str, Any]
) -> dict[str, int]:
    """Write ``model`` as its difference to ``base``.

    Args:
        model: model folder whose weights are of ``precision``, written by safetensors.
        base_name: what names the base to people: ``model``, ``revision``.

    Returns:
        tensors that are differences, and tensors that are stored whole.
    """
    from safetensors.torch import save_file

    staged = _stage(out)
    counts = {XOR: 0, WHOLE: 0}
    shards = weight_files(model)
    with _Weights(base) as old:
        for shard in shards:
            kinds: dict[str, str] = {}
            tensors: dict[str, torch.Tensor] = {}
            for name, tensor in _tensors(shard):
                known = old.get(name, precision)
                kinds[name], tensors[name] = WHOLE, _bits(tensor)
                if known is not None and known.shape == tensor.shape:
                    kinds[name], tensors[name] = XOR, tensors[name] ^ _bits(known)
                counts[kinds[name]] += 1
            metadata = {name: kind for name, kind in kinds.items() if kind == WHOLE}
            save_file(tensors, staged / shard.name, metadata=metadata | _METADATA)
    weights = {shard.name for shard in shards}
    others = [path for path in sorted(model.iterdir()) if path.name not in weights]
    for path in others:
        shutil.copyfile(path, staged / path.name)
    record = {
        "format_version": FORMAT_VERSION,
        "precision": precision,
        "base": {**base_name, "files": _hashes(weight_files(base))},
        "files": _hashes(sorted(staged.iterdir())),
        "result": _hashes(shards),
    }
    with atomic_write(staged / DELTA_RECORD) as file:
        json.dump(record, file, indent=1, ensure_ascii=False)
    replace_folder(staged, out)
    return counts


def apply_delta(delta: Path, base: Path, out: Path) -> dict[str, str]:
    """Make the model of ``delta`` and ``base`` in the new folder ``out``.

    Returns:
        Hashes of the weights' files; they are those that the delta's maker had.

    Raises:
        TrainingError: ``out`` is there already, a file of the delta is missing or damaged, or the
            base is another one. Then nothing is written.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    if out.exists():
        raise TrainingError(f"{out} is there already: name a folder that is not")
    record = _read_record(delta)
    _require_hashes(delta, record["files"], "the delta is damaged, fetch it again")
    named = " at ".join(str(v) for k in ("model", "revision") if (v := record["base"].get(k)))
    _require_hashes(base, record["base"]["files"], f"the base of this delta is {named}")
    precision: Precision = record["precision"]
    dtype = torch_dtype(precision)
    staged = _stage(out)
    with _Weights(base) as old:
        for name in record["result"]:
            with safe_open(delta / name, "pt") as file:
                whole = {key for key, kind in file.metadata().items() if kind == WHOLE}
            tensors = {}
            for key, bits in _tensors(delta / name):
                known = None if key in whole else old.get(key, precision)
                tensors[key] = (bits if known is None else bits ^ _bits(known)).view(dtype)
            save_file(tensors, staged / name, metadata=_METADATA)
    for name in record["files"]:
        if name not in record["result"]:
            shutil.copyfile(delta / name, staged / name)
    try:
        _require_hashes(staged, record["result"], "base plus delta is not the model that was meant")
    except TrainingError:
        shutil.rmtree(staged)
        raise
    replace_folder(staged, out)
    return record["result"]


class _Weights:
    """The tensors of a model folder by name, read one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, Any] = {}
        self.open = ExitStack()

    def __enter__(self) -> _Weights:
        from safetensors import safe_open

        for path in weight_files(self.folder):
            file = self.open.enter_context(safe_open(path, "pt"))
            self.files |= dict.fromkeys(file.keys(), file)
        return self

    def __exit__(self, *_: object) -> None:
        self.open.close()

    def get(self, name: str, precision: Precision) -> torch.Tensor | None:
        """A tensor in this precision; None when there is none of this name."""
        file = self.files.get(name)
        return None if file is None else file.get_tensor(name).to(torch_dtype(precision))


def _tensors(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        for name in file.keys():  # noqa: SIM118 (not a dict)
            yield name, file.get_tensor(name)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """The same bytes as integers."""
    import torch

    return tensor.contiguous().view({2: torch.int16, 4: torch.int32}[tensor.element_size()])


def _stage(out: Path) -> Path:
    staged = out.with_name(f".{out.name}.partial")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    return staged


def _hashes(files: list[Path]) -> dict[str, str]:
    return {path.name: hash_file(path) for path in files}


def _read_record(delta: Path) -> dict[str, Any]:
    path = delta / DELTA_RECORD
    if not path.is_file():
        raise TrainingError(f"{delta} is no delta: there is no {DELTA_RECORD} in it")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        version = record["format_version"]
        names = [*record["files"], *record["base"]["files"], *record["result"]]
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} is damaged ({error}): fetch it again") from error
    if version != FORMAT_VERSION:
        raise TrainingError(
            f"{path} has format {version}, this version reads {FORMAT_VERSION}: install the "
            "version of tagarela that it was made with"
        )
    if outside := [name for name in names if Path(name).name != name]:
        raise TrainingError(f"{path} names {outside[0]}, which is no file beside it")
    return record


def _require_hashes(folder: Path, hashes: dict[str, str], otherwise: str) -> None:
    for name, wanted in hashes.items():
        path = folder / name
        if not path.is_file():
            raise TrainingError(f"{path} is missing: {otherwise}")
        if (found := hash_file(path)) != wanted:
            raise TrainingError(
                f"{path} has the hash {found[:16]}…, not {wanted[:16]}…: {otherwise}"
            )
