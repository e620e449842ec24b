"""Room for what has an entry a document: in memory while it is small, else in mapped files.

The kernel writes mapped pages out when memory is short, so that such an array costs disk instead.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import text_buffers, texts_from_buffers

MAPPED_BYTES = 1 << 28
"""Size from which an array is a file: 256 MiB, the root of each of 67 million documents."""


class Scratch:
    """A folder of temporary files; it is removed on leaving the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = 0

    def __enter__(self) -> Scratch:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self) -> Path:
        """A file name that was not given before."""
        self._files += 1
        return self.folder / f"{self._files:05d}"

    def subfolder(self) -> Path:
        """A new folder."""
        folder = self.path()
        folder.mkdir()
        return folder

    def array(self, size: int, kind: Any) -> NDArray[Any]:
        """(size,) zeros."""
        if size * np.dtype(kind).itemsize < MAPPED_BYTES:
            return np.zeros(size, kind)
        return np.memmap(self.path(), kind, "w+", shape=(size,)).view(np.ndarray)

    def texts(self, pieces: Iterable[pa.Array | pa.ChunkedArray]) -> pa.LargeStringArray:
        """One array of all texts, whose bytes stay in a file."""
        path, offsets_path = self.path(), self.path()
        total = 0
        with path.open("wb") as data_file, offsets_path.open("wb") as offsets_file:
            offsets_file.write(np.zeros(1, np.int64).tobytes())
            for piece in pieces:
                data, offsets = text_buffers(piece)
                data_file.write(data[offsets[0] : offsets[-1]].tobytes())
                offsets_file.write((offsets[1:] + (total - offsets[0])).tobytes())
                total += int(offsets[-1] - offsets[0])
        offsets = np.memmap(offsets_path, np.int64, "r")
        data = np.memmap(path, np.uint8, "r") if total else np.zeros(0, np.uint8)
        return texts_from_buffers(data.view(np.ndarray), offsets.view(np.ndarray))
