"""A model on disk: ``model.safetensors`` beside ``model.json``, nothing that runs code.

Arrays are mapped, not read: worker processes share one copy of a table, and opening costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.provenance.files import atomic_path, atomic_write

TENSORS_NAME = "model.safetensors"
SETTINGS_NAME = "model.json"
_TYPES = {"U64": np.uint64, "I64": np.int64, "I32": np.int32, "F64": np.float64, "F32": np.float32}


class ModelFormatError(ValueError):
    """A model folder is missing, damaged or of another format."""


def save(folder: Path, tensors: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]) -> None:
    """Write arrays and settings (JSON) into ``folder``; the settings come last."""
    from safetensors.numpy import save_file

    with atomic_path(folder / TENSORS_NAME) as path:
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path)
    with atomic_write(folder / SETTINGS_NAME) as file:
        json.dump(settings, file, ensure_ascii=False, indent=1)
        file.write("\n")


def load(folder: Path, kind: str, version: int) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays (mapped, read-only) and settings of a model.

    Raises:
        ModelFormatError: the folder holds no such model.
    """
    try:
        settings = json.loads((folder / SETTINGS_NAME).read_text(encoding="utf-8"))
        found = settings["kind"], settings["format_version"]
        if found != (kind, version):
            raise ModelFormatError(
                f"{folder} holds {found[0]} of format {found[1]}, not {kind} of format {version}: "
                "materialize the model again"
            )
        return _map(folder / TENSORS_NAME), settings
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, ModelFormatError):
            raise
        raise ModelFormatError(f"{folder} holds no readable model ({error})") from None


def _map(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of a safetensors file: 8 bytes of header length, JSON header, arrays."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    arrays: dict[str, NDArray[Any]] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        shape, kind = tuple(entry["shape"]), _TYPES[entry["dtype"]]
        offset = 8 + length + start
        if end == start:
            arrays[name] = np.zeros(shape, kind)
        else:
            mapped = np.memmap(path, kind, "r", offset=offset, shape=shape)
            # As a plain array: kernels are compiled for one type. Writing to it is an error.
            arrays[name] = np.asarray(mapped)
    return arrays
