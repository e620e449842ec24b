"""Cut repeats out of measured text, as ``cuts/PARTITION.parquet`` says: a step of ``clean``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from xxhash import xxh3_128

from tagarela_dagster.corpus.dedup.cuts_write import CUT_SCHEMA, KINDS, WHOLE
from tagarela_dagster.corpus.kernels.buffers import text_buffers, texts_from_buffers
from tagarela_dagster.corpus.kernels.repeats_cuts import cut_spans
from tagarela_dagster.corpus.stage import Kernel, Outcome
from tagarela_dagster.provenance.alignment import AlignmentError

REPEATS = "repeats"
"""Reason of a document of which too little is left, and name of the edit of the others."""


class Cuts:
    """The cuts of one shard.

    Args:
        files: the partition's ``cuts/PARTITION.parquet``; none when nothing is cut.
        shard: its name.
    """

    def __init__(self, files: Sequence[Path], shard: str) -> None:
        tables = [pq.read_table(path, filters=[("shard", "=", shard)]) for path in files]
        self.table = pa.concat_tables([CUT_SCHEMA.empty_table(), *tables]).combine_chunks()

    @property
    def hash(self) -> str:
        """Of everything that is cut: a shard whose cuts are as they were is not written again."""
        digest = xxh3_128()
        for name in ("row", "start", "end"):
            digest.update(self.table.column(name).to_numpy().tobytes())
        digest.update("".join(self.table.column("kind").to_pylist()))
        return digest.hexdigest()

    def apply(self, batch: pa.RecordBatch, rows: NDArray[np.int64], kernel: Kernel) -> Outcome:
        """What ``kernel`` makes of a batch after the cuts.

        Args:
            batch: DOCUMENT_SCHEMA, texts as measured.
            rows: (rows,) row of each document in its shard, ascending.

        Returns:
            A document that is dropped as a whole has the reason ``repeats``; the others' bytes
            are booked as the edit ``repeats``, if they are kept.

        Raises:
            AlignmentError: the cuts are of other documents.
        """
        low, high = np.searchsorted(self.table.column("row").to_numpy(), (rows[:1], rows[-1:] + 1))
        if not len(rows) or low[0] == high[0]:
            return kernel(batch)
        cuts = self.table.slice(low[0], high[0] - low[0])
        of = np.searchsorted(rows, cuts.column("row").to_numpy())
        ids = batch.column("id").take(pa.array(of))
        if not ids.cast(pa.string()).equals(cuts.column("id").combine_chunks()):
            raise AlignmentError("the cuts are of other ids than the shard: materialize repeats")
        texts = batch.column("text")
        firsts, lasts = (cuts.column(name).to_numpy() for name in ("start", "end"))
        sizes = pc.binary_length(texts).to_numpy()
        if (lasts > sizes[of]).any():
            raise AlignmentError("a cut ends after its text: materialize repeats again")
        data, offsets = cut_spans(*text_buffers(texts), of, firsts, lasts)
        left = texts_from_buffers(data, offsets)
        dropped = np.zeros(batch.num_rows, np.bool_)
        dropped[of[pc.equal(cuts.column("kind"), KINDS[WHOLE]).to_numpy()]] = True
        place = batch.schema.get_field_index("text")
        outcome = kernel(batch.set_column(place, batch.schema.field("text"), left))
        reasons = pc.if_else(pa.array(dropped), REPEATS, outcome.reasons)
        kept = pc.is_null(reasons).to_numpy(zero_copy_only=False)
        removed = int((sizes - np.diff(offsets))[kept].sum())
        edits = {**outcome.edits, **({REPEATS: removed} if removed else {})}
        return Outcome(outcome.documents, reasons, edits)
