"""A lexicon's files: chunks and their words as spaCy gave them, kept between runs.

Each file is written once, under a temporary name that is then changed to the SHA-256 of its
bytes. So any number of processes may add files, and a damaged one is found by its name.

A lexicon holds strings of the corpus from before personal data is replaced. So none that may be
such data is written: with an at sign (addresses, user names), a URL, or three digits (the shortest
run of digits that a number of a person or a postal code is made of). spaCy is asked for these again
by every process.
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


def may_be_personal(chunk: bytes) -> bool:
    """Whether a chunk has an at sign, ``://`` or three digits of any script."""
    text = chunk.decode("utf-8", "replace")
    return "@" in text or "://" in text or sum(map(str.isdigit, text)) >= 3


def write_segment(folder: Path, chunks: Chunks) -> None:
    """Add a file, of the chunks that may be kept; when there are many, it takes the place of those
    that could be read."""
    new = _table(chunks)
    if not new.num_rows:
        return
    folder.mkdir(parents=True, exist_ok=True)
    old = sorted(folder.glob("*.arrow"))
    merged = old if len(old) >= MANY_FILES else []
    tables = [new, *(_table(found) for path in merged if (found := _read(path)))]
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
    """The chunks that may be kept, as a file holds them."""
    list_offsets = np.concatenate([[0], np.cumsum(chunks.counts)])
    found = pa.table(
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
    names = found.column("chunk").to_pylist()
    return found.filter(pa.array([not may_be_personal(chunk) for chunk in names], pa.bool_()))


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
