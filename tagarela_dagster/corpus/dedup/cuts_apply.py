"""Cut repeats out of measured text, as ``cuts/PARTITION.parquet`` says: a step of ``clean``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from tagarela_dagster.corpus.stage import Outcome
from tagarela_dagster.provenance.alignment import AlignmentError

REPEATS = "repeats"
"""Reason of a document of which too little is left, and name of the edit of the others."""


@dataclass(frozen=True)
class CutBatch:
    """A batch without its repeats.

    Attributes:
        documents: same rows in the same order; a document that goes as a whole has no text.
        dropped: (rows,) whether it goes as a whole.
        removed: (rows,) bytes that were cut.
    """

    documents: pa.RecordBatch
    dropped: NDArray[np.bool_]
    removed: NDArray[np.int64]

    def judge(self, outcome: Outcome) -> Outcome:
        """What a kernel made of ``documents``, with the reason and the edit ``repeats``."""
        if not self.removed.any():
            return outcome
        reasons = pc.if_else(pa.array(self.dropped), REPEATS, outcome.reasons)
        kept = pc.is_null(reasons).to_numpy(zero_copy_only=False)
        edits = {**outcome.edits, REPEATS: int(self.removed[kept].sum())}
        return Outcome(outcome.documents, reasons, {k: v for k, v in edits.items() if v})


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
    def hashes(self) -> tuple[str, ...]:
        """Of everything that is cut, if anything is: it decides what is written of the shard."""
        if not len(self.table):
            return ()
        digest = xxh3_128()
        for name in ("row", "start", "end"):
            digest.update(self.table.column(name).to_numpy().tobytes())
        digest.update("".join(self.table.column("kind").to_pylist()))
        return (digest.hexdigest(),)

    def apply(self, batch: pa.RecordBatch, rows: NDArray[np.int64]) -> CutBatch:
        """Cut the repeats out of a batch.

        Args:
            batch: DOCUMENT_SCHEMA, texts as measured.
            rows: (rows,) row of each document in its shard, ascending.

        Raises:
            AlignmentError: the cuts are of other documents.
        """
        nothing = np.zeros(len(rows), np.int64)
        low, high = np.searchsorted(self.table.column("row").to_numpy(), (rows[:1], rows[-1:] + 1))
        if not len(rows) or low[0] == high[0]:
            return CutBatch(batch, nothing > 0, nothing)
        cuts = self.table.slice(low[0], high[0] - low[0])
        of = np.searchsorted(rows, cuts.column("row").to_numpy())
        texts = batch.column("text")
        firsts, lasts = (cuts.column(name).to_numpy() for name in ("start", "end"))
        sizes = pc.binary_length(texts).to_numpy()
        ids = batch.column("id").take(pa.array(of)).cast(pa.string())
        if not ids.equals(cuts.column("id").combine_chunks()) or (lasts > sizes[of]).any():
            raise AlignmentError("the cuts are of other texts: materialize repeats again")
        data, offsets = cut_spans(*text_buffers(texts), of, firsts, lasts)
        place = batch.schema.get_field_index("text")
        left = texts_from_buffers(data, offsets)
        dropped = nothing > 0
        dropped[of[pc.equal(cuts.column("kind"), KINDS[WHOLE]).to_numpy()]] = True
        documents = batch.set_column(place, batch.schema.field("text"), left)
        return CutBatch(documents, dropped, sizes - np.diff(offsets))
