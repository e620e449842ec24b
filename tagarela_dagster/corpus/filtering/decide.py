"""``filtered``: which documents are dropped and why, from thresholds over stored signals.

No text is read: a decision needs the columns COLUMNS of the measured shard. Order: licence gate,
empty, language, Gopher repetition, FineWeb quality, Gopher quality, personal data (where the
recipe drops for it). The first rule that a document fails gives the reason. A source with
``overrides`` in the recipe has rules of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagarela_dagster.corpus.booking import book
from tagarela_dagster.corpus.document import SIGNALS
from tagarela_dagster.corpus.filtering.language import is_kept
from tagarela_dagster.corpus.filtering.licenses import judge
from tagarela_dagster.corpus.filtering.rules import EMPTY, decide, recipe_rules
from tagarela_dagster.corpus.filtering.work import measured_bytes
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.shards import ShardWriter, read_batches
from tagarela_dagster.corpus.stage import (
    DECISION_SCHEMA,
    ShardStage,
    Written,
    run_stage,
)
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.corpus import Corpus

COLUMNS = [
    "id",
    "source",
    "license",
    "variety",
    "language",
    "language_score",
    "quality",
    "bytes_in",
    "removed",
]


class Decide:
    """Reasons of the documents of a measured batch, without their text."""

    def __init__(self, corpus: Corpus) -> None:
        self.usual = _Rules(corpus)
        self.own = {name: _Rules(corpus.for_source(name)) for name in sorted(corpus.overrides)}

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """(rows,) string: why each document is dropped, null to keep it.

        Args:
            batch: MEASURED_SCHEMA, or at least COLUMNS of it; of any sources.
        """
        names = pc.unique(batch.column("source")).to_pylist()
        if len(names) == 1:
            return pa.array(self.own.get(names[0], self.usual)(batch), pa.string())
        by_source = [(name, self.own[name]) for name in names if name in self.own]
        reasons = np.array(self.usual(batch), object)
        for name, rules in by_source:
            rows = pc.equal(batch.column("source"), name)
            reasons[rows.to_numpy(zero_copy_only=False)] = rules(batch.filter(rows))
        return pa.array(reasons, pa.string())


class _Rules:
    """The rules of one source, or of every source without overrides."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.rules = recipe_rules(corpus)

    def __call__(self, batch: pa.RecordBatch) -> list[str | None]:
        reasons = self._licenses(batch)
        signals = read_signals(batch)
        _fill(reasons, decide(signals, [EMPTY]))
        if self.corpus.language.enabled:
            _fill(reasons, self._languages(batch))
        if self.rules:
            _fill(reasons, decide(signals, self.rules))
        return reasons

    def _licenses(self, batch: pa.RecordBatch) -> list[str | None]:
        names = pc.dictionary_encode(batch.column("license"))
        verdicts = [judge(name, self.corpus.licenses) for name in names.dictionary.to_pylist()]
        missing = judge(None, self.corpus.licenses)
        indices = names.indices.to_pylist()
        return [missing if index is None else verdicts[index] for index in indices]

    def _languages(self, batch: pa.RecordBatch) -> list[str | None]:
        names = ("language", "language_score", "source")
        columns = (batch.column(name).to_pylist() for name in names)
        return [
            None if is_kept(language, score, source, self.corpus.language) else "language"
            for language, score, source in zip(*columns, strict=True)
        ]


def read_signals(batch: pa.RecordBatch) -> dict[str, NDArray[np.float32]]:
    """Every signal of a measured batch, (rows,) each, NaN where there is none."""
    struct = batch.column("quality")
    return {
        name: np.array(pc.struct_field(struct, index).to_numpy(zero_copy_only=False), np.float32)
        for index, name in enumerate(SIGNALS)
    }


class DecideStage(ShardStage):
    """Decide on the documents of measured shard ``rank``."""

    name = "decide"
    read_share = 0.02

    def __init__(
        self, writer: PartitionWriter, shards: Sequence[ShardInput], corpus: Corpus
    ) -> None:
        super().__init__(writer, shards)
        self.corpus = corpus

    def work(self, shard: ShardInput, ledger: Ledger) -> tuple[Written, dict[str, Any]]:
        """Write ``decisions/NAME.parquet``."""
        decide_batch = Decide(self.corpus)
        folder = self.staging / "data" / "decisions"
        with ShardWriter(folder, shard.name, DECISION_SCHEMA) as out:
            for batch in read_batches(shard.paths[0], COLUMNS):
                reasons, sizes = decide_batch(batch), measured_bytes(batch)
                varieties = batch.column("variety")
                book(ledger, varieties, reasons, sizes, sizes)
                nothing = pa.nulls(batch.num_rows, pa.string())
                columns = [batch.column("id"), sizes, varieties, reasons, nothing]
                out.write(pa.RecordBatch.from_arrays(columns, schema=DECISION_SCHEMA))
        return {"decisions": out.written}, {}


def decide_partition(
    writer: PartitionWriter, shards: Sequence[ShardInput], corpus: Corpus, *, workers: int = 1
) -> Manifest:
    """Decide on a partition's measured shards; a decision shard has its measured shard's name."""
    return run_stage(writer, DecideStage(writer, shards, corpus), workers=workers)


def _fill(reasons: list[str | None], more: Sequence[str | None]) -> None:
    for row, reason in enumerate(more):
        if reasons[row] is None:
            reasons[row] = reason
