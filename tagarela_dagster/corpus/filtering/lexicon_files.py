"""A lexicon's files: chunks and their words as spaCy gave them, kept between runs.

Each file is written once, under a temporary name that is then changed to the SHA-256 of its
bytes. So any number of processes may add files, and a damaged one is found by its name.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, text_buffers

MANY_FILES = 32
"""Files from which the next ``write_segment`` merges them into one."""

_SCHEMA = pa.schema([("chunk", pa.large_binary()), ("ends", pa.large_list(pa.int32()))])

log = logging.getLogger(__name__)


class Chunks(NamedTuple):
    """Chunks and their words: bytes, offsets, ends of words in their chunk, words of each."""

    data: Bytes
    offsets: Offsets
    ends: NDArray[np.int64]
    counts: NDArray[np.int64]


def read_segments(folder: Path, limit: int) -> Iterator[Chunks]:
    """Chunks of each file of a folder, until ``limit`` were read."""
    for path in sorted(folder.glob("*.arrow")) if folder.is_dir() else ():
        if limit <= 0:
            return
        chunks = _read(path)
        if chunks is not None:
            limit -= len(chunks.counts)
            yield chunks


def write_segment(folder: Path, chunks: Chunks) -> None:
    """Add a file; when there are many, it takes the place of those that could be read."""
    folder.mkdir(parents=True, exist_ok=True)
    old = sorted(folder.glob("*.arrow"))
    merged = old if len(old) >= MANY_FILES else []
    tables = [_table(chunks), *(_table(found) for path in merged if (found := _read(path)))]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, _SCHEMA) as writer:
        for table in tables:
            writer.write_table(table)
    content = sink.getvalue()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:32]}.arrow"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    for name in merged:
        if name != path:
            name.unlink(missing_ok=True)


def _table(chunks: Chunks) -> pa.Table:
    list_offsets = np.concatenate([[0], np.cumsum(chunks.counts)])
    return pa.table(
        [
            pa.LargeBinaryArray.from_buffers(
                pa.large_binary(),
                len(chunks.counts),
                [None, pa.py_buffer(chunks.offsets), pa.py_buffer(chunks.data)],
            ),
            pa.LargeListArray.from_arrays(
                pa.array(list_offsets, pa.int64()), pa.array(chunks.ends, pa.int32())
            ),
        ],
        schema=_SCHEMA,
    )


def _read(path: Path) -> Chunks | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        # Another process has merged it into a newer file meanwhile.
        return None
    if hashlib.sha256(content).hexdigest()[:32] != path.stem:
        log.warning("%s is damaged and was left out: delete it, its words are asked again", path)
        return None
    table = pa.ipc.open_file(content).read_all().combine_chunks()
    lists = table.column("ends").combine_chunks()
    data, offsets = text_buffers(table.column("chunk"))
    ends = lists.values.to_numpy().astype(np.int64)
    return Chunks(data, offsets, ends, np.diff(lists.offsets.to_numpy()))
