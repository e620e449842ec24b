"""Build the index of a partition from its signatures and decisions, in bounded memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.index import Index, Table, open_index, write_index
from tagarela_dagster.corpus.dedup.signatures import (
    band_name,
    check_signatures,
)
from tagarela_dagster.corpus.dedup.spool import Spool
from tagarela_dagster.provenance.alignment import AlignmentError, ShardInput
from tagarela_dagster.recipe.dedup import Dedup

EXACT, NORMALIZED, CAPTURE = "exact", "normalized", "url_key"
BATCH_ROWS = 1 << 16


@dataclass(frozen=True)
class Layout:
    """Which hashes of a partition are joined, and how they were made.

    Attributes:
        columns: of the signature shards.
        wide: those of 128 bits.
        short: words below which a document is compared by ``normalized``.
    """

    columns: tuple[str, ...]
    short: int
    wide: tuple[str, ...] = (EXACT, NORMALIZED)

    @classmethod
    def of(cls, section: Dedup, captures: bool) -> Layout:
        """What the recipe asks for; ``captures``: also the URLs."""
        columns = [CAPTURE] if captures else []
        if section.enabled:
            columns += [EXACT] if section.exact else []
            columns += [NORMALIZED, *map(band_name, range(section.minhash.bands))]
        return cls(tuple(columns), section.minhash.n_grams)


def build_index(
    path: Path,
    identity: str,
    shards: Sequence[ShardInput],
    section: Dedup,
    layout: Layout,
    memory: int,
    scratch: Path,
) -> Index:
    """Write the index of a partition.

    Args:
        shards: in the order of their names; each a signature shard and, unless every document is
            kept, the decision shard beside it.
        memory: bytes that the hashes may take; what is more is sorted on disk.
        scratch: folder for that; it is emptied first and removed at the end.

    Raises:
        SignatureError: a shard was signed with other settings.
        AlignmentError: decisions do not lie beside their signatures.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        spools = [Spool(scratch, name, name in layout.wide, memory // 2) for name in layout.columns]
        described: list[tuple[str, int, int]] = []
        rows = [np.empty(0, np.uint32)]
        number = 0
        for shard in shards:
            total = check_signatures(shard.paths[0], section.minhash)
            alive = kept_rows(shard, total)
            for first, batch in _batches(shard.paths[0], alive, layout):
                for spool in spools:
                    _add(spool, batch, number + first, layout)
                if 2 * sum(spool.held for spool in spools) > memory:
                    for spool in spools:
                        spool.spill()
            described.append((shard.name, total, len(alive)))
            rows.append(alive)
            number += len(alive)
        tables = [(Table(s.name, s.entries, s.wide), s.drain()) for s in spools]
        write_index(path, identity, described, np.concatenate(rows), tables)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return open_index(path, identity, trusted=True)


def kept_rows(shard: ShardInput, rows: int) -> NDArray[np.uint32]:
    """Rows of a shard that its decisions keep; all of them without decisions."""
    if len(shard.paths) == 1:
        return np.arange(rows, dtype=np.uint32)
    reason = pq.read_table(shard.paths[1], columns=["reason"]).column("reason")
    if len(reason) != rows:
        raise AlignmentError(
            f"{shard.paths[1]} decides on {len(reason)} documents, {shard.paths[0]} signs {rows}: "
            "materialize both again"
        )
    alive = reason.is_null().combine_chunks().to_numpy(zero_copy_only=False)
    return np.flatnonzero(alive).astype(np.uint32)


def _batches(
    path: Path, alive: NDArray[np.uint32], layout: Layout
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Signatures of the kept rows, and how many came before them."""
    columns = list(layout.columns) + (["words"] if NORMALIZED in layout.columns else [])
    if not columns:
        return
    with pq.ParquetFile(path) as file:
        row = 0
        for batch in file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
            end = row + batch.num_rows
            first, last = np.searchsorted(alive, (row, end))
            if last - first < batch.num_rows:
                batch = batch.take(pa.array(alive[first:last] - np.uint32(row)))
            yield int(first), batch
            row = end


def _add(spool: Spool, batch: pa.RecordBatch, first: int, layout: Layout) -> None:
    """Add a column's hashes, where there are any."""
    column = batch.column(spool.name)
    documents = np.arange(first, first + batch.num_rows, dtype=np.uint32)
    valid = column.is_valid()
    if spool.name == NORMALIZED:
        # A document without a word has nothing that could be normalised: its text decides.
        words = batch.column("words")
        short = pc.and_(pc.greater(words, 0), pc.less(words, layout.short))
        valid = pc.and_(valid, short)
    if pc.sum(valid).as_py() != batch.num_rows:
        documents = documents[valid.to_numpy(zero_copy_only=False)]
        column = column.filter(valid)
    words = hash_words(column)
    other = words[:, 1].copy() if spool.wide else np.empty(0, np.uint64)
    spool.add(words[:, 0].copy(), other, documents)


def hash_words(column: pa.Array) -> NDArray[Any]:
    """Hashes without nulls as 64-bit words: (rows, 1), or (rows, 2) for 16 bytes."""
    width = column.type.bit_width // 64
    data = np.frombuffer(column.buffers()[1] or b"", "<u8").reshape(-1, width)
    return data[column.offset : column.offset + len(column)]
