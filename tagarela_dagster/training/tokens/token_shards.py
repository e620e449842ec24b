"""Token shards: the clean documents of one partition as flat arrays of token ids.

Rank k reads clean shard k, leaves held-out documents out and writes

- ``tokens/KKKKK.tokens``: ids, little-endian uint16 (uint32 above 65,536 tokens), each document
  followed by one end-of-document token, nothing else;
- ``documents/KKKKK.parquet``: the index (token_index.py), a row for each document in order.

The manifest's counts carry documents, tokens, words, characters and bytes by source and variety.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tokenizers import Tokenizer as Encoder

from tagarela_dagster.corpus.booking import book
from tagarela_dagster.corpus.held_out import is_held_out
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.word_counts import word_counts
from tagarela_dagster.corpus.ledger import UNKNOWN_VARIETY, Ledger
from tagarela_dagster.corpus.shards import ShardWriter, read_batches
from tagarela_dagster.corpus.stage import ShardStage, Written, run_stage
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.training.tokens.encoding import Encoded, encode_documents, token_dtype
from tagarela_dagster.training.tokens.token_index import CARRIED, INDEX_SCHEMA
from tagarela_dagster.training.tokens.tokenizer import (
    TOKENIZER_FILE,
    end_token,
    open_tokenizer,
    token_id,
)

COUNTED = ("documents", "tokens", "words", "characters", "bytes")
"""``tokens`` are those stored, the end token of each document included."""
HELD_OUT = "held_out"

Counts = dict[str, dict[str, dict[str, int]]]
"""source -> variety -> COUNTED."""


class TokenStage(ShardStage):
    """Tokenize input shard ``rank``."""

    name = "tokenize"

    def __init__(
        self,
        writer: PartitionWriter,
        shards: Sequence[ShardInput],
        tokenizer: Path,
        held_out_share: float,
        seed: int,
        single_thread: bool,
    ) -> None:
        self.sha256 = hash_file(tokenizer / TOKENIZER_FILE)
        super().__init__(writer, shards, {"tokenizer": self.sha256})
        self.tokenizer = tokenizer
        self.held_out_share = held_out_share
        self.seed = seed
        self.single_thread = single_thread

    def work(self, shard: ShardInput, ledger: Ledger) -> tuple[Written, Counts]:
        """Write the index, the tokens and the counts of a shard."""
        if self.single_thread:
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
        encoder = _encoder(self.tokenizer, self.sha256)
        name = shard.name
        folder = self.staging / "data"
        counts = _new_counts()
        start = 0
        with (
            ShardWriter(folder / "documents", name, INDEX_SCHEMA) as index,
            atomic_write(folder / "tokens" / f"{name}.tokens", "wb") as file,
        ):
            batches = read_batches(shard.paths[0], columns=["id", "text", *CARRIED])
            kept = (self._leave_out(batch, ledger) for batch in batches)
            eos = token_id(encoder, end_token(self.tokenizer))
            for encoded in encode_documents(encoder, kept, eos):
                file.write(encoded.ids.data)
                ends = start + np.cumsum(encoded.lengths)
                index.write(_index(encoded, ends - encoded.lengths))
                _count(encoded, counts)
                start = int(ends[-1])
        return {"documents": index.written, "tokens": [(f"{name}.tokens", start)]}, counts

    def _leave_out(self, batch: pa.RecordBatch, ledger: Ledger) -> pa.RecordBatch:
        held = np.asarray(is_held_out(batch.column("id"), self.held_out_share, self.seed))
        kept = batch.filter(pa.array(~held))
        reasons = pc.if_else(pa.array(held), HELD_OUT, pa.scalar(None, pa.string()))
        sizes = pc.binary_length(batch.column("text"))
        book(ledger, batch.column("variety"), reasons, sizes, sizes)
        return kept


def tokenize_partition(
    writer: PartitionWriter,
    shards: Sequence[ShardInput],
    tokenizer: Path,
    *,
    held_out_share: float,
    seed: int,
    workers: int = 1,
) -> Manifest:
    """Tokenize the clean shards of a partition and publish its token shards.

    Args:
        shards: the clean partition's kept shards, in order.
        tokenizer: folder that ``train_tokenizer`` wrote.
        held_out_share, seed: which documents are held out (dropped as ``held_out``).
    """
    step = TokenStage(
        writer,
        shards,
        tokenizer,
        held_out_share,
        seed,
        single_thread=workers > 1,
    )
    encoder = _encoder(tokenizer, step.sha256)

    def summarise(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        counts = merge_counts(parts)
        cells = [cell for varieties in counts.values() for cell in varieties.values()]
        return {
            "documents": sum(cell["documents"] for cell in cells),
            "tokens": sum(cell["tokens"] for cell in cells),
            "fertility": fertility_rows(counts),
            "tokenizer": {
                "sha256": step.sha256,
                "vocabulary": encoder.get_vocab_size(),
                "eos": token_id(encoder, end_token(tokenizer)),
                "dtype": token_dtype(encoder.get_vocab_size()).name,
            },
        }

    return run_stage(writer, step, workers=workers, summarise=summarise)


@lru_cache(1)
def _encoder(tokenizer: Path, sha256: str) -> Encoder:
    """The tokenizer with this hash, read once a process and not for every shard."""
    return open_tokenizer(tokenizer)


def merge_counts(parts: Iterable[Mapping[str, Any]]) -> Counts:
    """Sum of counts by source and variety, sorted by name."""
    whole = _new_counts()
    for part in parts:
        for source, varieties in part.items():
            for variety, cell in varieties.items():
                for name in COUNTED:
                    whole[source][variety][name] += cell[name]
    return {source: dict(sorted(whole[source].items())) for source in sorted(whole)}


def fertility(cell: Mapping[str, int]) -> float | None:
    """Tokens per whitespace word, end tokens not counted; None without words."""
    return (cell["tokens"] - cell["documents"]) / cell["words"] if cell["words"] else None


def fertility_rows(counts: Counts) -> list[dict[str, Any]]:
    """Rows ``{source, variety, COUNTED…, tokens_per_word}``, as in a manifest's counts."""
    return [
        {"source": source, "variety": variety, **cell, "tokens_per_word": fertility(cell)}
        for source, varieties in counts.items()
        for variety, cell in varieties.items()
    ]


def read_fertility(manifests: Iterable[Manifest]) -> Counts:
    """Counts of several token partitions, summed by source and variety."""
    return merge_counts(
        {row["source"]: {row["variety"]: row}} for m in manifests for row in m.counts["fertility"]
    )


def _new_counts() -> Counts:
    return defaultdict(lambda: defaultdict(lambda: dict.fromkeys(COUNTED, 0)))


def _index(encoded: Encoded, starts: NDArray[np.int64]) -> pa.RecordBatch:
    carried = {name: encoded.documents.column(name) for name in ("id", *CARRIED)}
    places = {"start": pa.array(starts), "length": pa.array(encoded.lengths)}
    columns = carried | places
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in INDEX_SCHEMA.names], schema=INDEX_SCHEMA
    )


def _count(encoded: Encoded, counts: Counts) -> None:
    documents = encoded.documents
    rows = documents.num_rows
    data, offsets = text_buffers(documents.column("text"))
    words, characters = np.empty(rows, np.int64), np.empty(rows, np.int64)
    word_counts(data, offsets, words, characters)
    found = (np.ones(rows, np.int64), encoded.lengths, words, characters, np.diff(offsets))
    sources = documents.column("source").to_pylist()
    varieties = documents.column("variety").fill_null(UNKNOWN_VARIETY).to_pylist()
    cells = np.array([f"{s}\0{v}" for s, v in zip(sources, varieties, strict=True)])
    for cell in np.unique(cells).tolist():
        source, variety = cell.split("\0")
        mine = cells == cell
        for name, values in zip(COUNTED, found, strict=True):
            counts[source][variety][name] += int(values[mine].sum())
