"""Signatures of a partition: one Parquet shard for each document shard, row by row.

They belong to a (source, snapshot) and are computed once, so the cost of a refresh follows the new
documents. docs/formats.md describes the columns; known-answer vectors in the tests pin them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.dedup.minhash import Signatures, Signer
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.shards import ShardWriter, read_batches, text_bytes
from tagarela_dagster.corpus.stage import ShardStage, Written, run_stage
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Minhash

FORMAT = "1"
"""Version of the columns and of every hash in them."""
HASH = pa.binary(16)


class SignatureError(ValueError):
    """A signature shard was written with other settings or by another release."""


def band_name(band: int) -> str:
    """Column of a band's hashes."""
    return f"band_{band:03d}"


def signature_schema(section: Minhash) -> pa.Schema:
    """Columns of a signature shard; its metadata holds the settings and the format version."""
    settings = {"format": FORMAT, **section.model_dump()}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("exact", HASH, nullable=False),
            pa.field("words", pa.int32(), nullable=False),
            *(pa.field(band_name(band), pa.uint64()) for band in range(section.bands)),
        ],
        {"signatures": json.dumps(settings, sort_keys=True)},
    )


def signature_batch(ids: pa.Array, signatures: Signatures, schema: pa.Schema) -> pa.RecordBatch:
    """Rows of a signature shard."""
    unsigned = ~signatures.signed
    bands = [pa.array(column, pa.uint64(), mask=unsigned) for column in signatures.bands.T]
    columns = [
        ids.cast(pa.string()),
        pa.array(signatures.exact, HASH),
        pa.array(signatures.words, pa.int32()),
        *bands,
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def check_signatures(path: Path, section: Minhash) -> int:
    """Number of rows of a signature shard. Raises SignatureError unless ``section`` made it."""
    metadata = pq.read_metadata(path)
    found = (metadata.schema.to_arrow_schema().metadata or {}).get(b"signatures", b"none")
    wanted = signature_schema(section).metadata[b"signatures"]
    if found != wanted:
        raise SignatureError(
            f"{path} was signed with {found.decode()}, not {wanted.decode()}: "
            "materialize its signatures again"
        )
    return int(metadata.num_rows)


class SignStage(ShardStage):
    """Sign document shard ``rank``."""

    name = "sign"

    def __init__(
        self, writer: PartitionWriter, shards: Sequence[ShardInput], section: Minhash
    ) -> None:
        super().__init__(writer, shards)
        self.section = section

    def work(self, shard: ShardInput, ledger: Ledger) -> tuple[Written, dict[str, int]]:
        """Write ``signatures/NAME.parquet``, NAME being the document shard's."""
        signer = Signer(self.section)
        schema = signature_schema(self.section)
        counts = {"documents": 0, "signed": 0, "words": 0, "bytes": 0}
        with ShardWriter(self.staging / "data" / "signatures", shard.name, schema) as out:
            for batch in read_batches(shard.paths[0], ["id", "text"]):
                signatures = signer.sign(batch.column("text").to_pylist())
                out.write(signature_batch(batch.column("id"), signatures, schema))
                counts["documents"] += batch.num_rows
                counts["signed"] += int(signatures.signed.sum())
                counts["words"] += int(signatures.words.sum())
                counts["bytes"] += text_bytes(batch)
        return {"signatures": out.written}, counts


def sign_partition(
    writer: PartitionWriter,
    shards: Sequence[ShardInput],
    section: Minhash,
    *,
    workers: int = 1,
) -> Manifest:
    """Sign a partition's measured shards; a signature shard has its measured shard's name."""
    return run_stage(writer, SignStage(writer, shards, section), workers=workers)
