"""Signatures of a partition: one Parquet shard for each measured shard, row by row.

They belong to a (source, snapshot) and are computed once, so the cost of a refresh follows the new
documents; with the keys of the recipe's order they are all that ``clusters`` reads.
docs/formats.md describes the columns; known-answer vectors in the tests pin them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagarela_dagster.corpus.dedup.minhash import Signatures, Signer
from tagarela_dagster.corpus.document import SIGNALS
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.xxh_urls import url_keys
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.shards import ShardWriter, read_batches
from tagarela_dagster.corpus.stage import ShardStage, Written, run_stage
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Minhash

FORMAT = "2"
"""Version of the columns and of every hash in them."""
HASH = pa.binary(16)
ORDER_KEYS = ("url_key", "date", "quality")
"""Columns by which duplicates are ordered; null where a document has no such thing."""


class SignatureError(ValueError):
    """A signature shard cannot be made, or was written with other settings or another release."""


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
            pa.field("normalized", HASH, nullable=False),
            pa.field("words", pa.int32(), nullable=False),
            pa.field("bytes", pa.int64(), nullable=False),
            pa.field("url_key", pa.uint64()),
            pa.field("date", pa.date32()),
            pa.field("quality", pa.float32()),
            *(pa.field(band_name(band), pa.uint64()) for band in range(section.bands)),
        ],
        {"signatures": json.dumps(settings, sort_keys=True)},
    )


def signature_batch(
    ids: pa.Array, signatures: Signatures, schema: pa.Schema, **keys: pa.Array
) -> pa.RecordBatch:
    """Rows of a signature shard.

    Args:
        keys: ORDER_KEYS that are known; the others are null.
    """
    absent = ~signatures.signed
    columns = {
        "id": ids.cast(pa.string()),
        "exact": _hashes(signatures.exact),
        "normalized": _hashes(signatures.normalized),
        "words": pa.array(signatures.words.astype(np.int32)),
        "bytes": pa.array(signatures.bytes),
        **{name: keys.get(name) for name in ORDER_KEYS},
        **{
            band_name(band): pa.array(np.ascontiguousarray(values), mask=absent)
            for band, values in enumerate(signatures.bands.T)
        },
    }
    arrays = [
        pa.nulls(len(ids), field.type) if columns[field.name] is None else columns[field.name]
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _hashes(values: np.ndarray) -> pa.Array:
    """(rows, 16) bytes as a column."""
    return pa.FixedSizeBinaryArray.from_buffers(HASH, len(values), [None, pa.py_buffer(values)])


def keys_of_urls(urls: pa.Array) -> pa.Array:
    """(rows,) key of each URL (see ``url_keys``); null where it is null or empty."""
    absent = pc.fill_null(pc.equal(pc.utf8_length(urls), 0), True)
    keys = url_keys(*text_buffers(urls))
    return pa.array(keys, mask=absent.to_numpy(zero_copy_only=False))


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
    """Sign measured shard ``rank``."""

    name = "sign"

    def __init__(
        self,
        writer: PartitionWriter,
        shards: Sequence[ShardInput],
        section: Minhash,
        quality_signal: str | None = None,
    ) -> None:
        super().__init__(writer, shards, {"format": FORMAT, "quality": quality_signal or ""})
        self.section = section
        self.quality_signal = quality_signal

    def work(self, shard: ShardInput, ledger: Ledger) -> tuple[Written, dict[str, int]]:
        """Write ``signatures/NAME.parquet``, NAME being the measured shard's."""
        signer = Signer(self.section)
        schema = signature_schema(self.section)
        counts = {"documents": 0, "signed": 0, "words": 0, "bytes": 0, "normalized_by_python": 0}
        columns = ["id", "text", "url", "date"]
        if self.quality_signal:
            columns.append(f"quality.{self.quality_signal}")
        with ShardWriter(self.staging / "data" / "signatures", shard.name, schema) as out:
            for batch in read_batches(shard.paths[0], columns):
                signatures = signer.sign(batch.column("text"))
                keys = {"url_key": keys_of_urls(batch.column("url")), "date": batch.column("date")}
                if self.quality_signal:
                    keys["quality"] = pc.struct_field(batch.column("quality"), self.quality_signal)
                out.write(signature_batch(batch.column("id"), signatures, schema, **keys))
                counts["documents"] += batch.num_rows
                counts["signed"] += int(signatures.signed.sum())
                counts["words"] += int(signatures.words.sum())
                counts["bytes"] += int(signatures.bytes.sum())
                counts["normalized_by_python"] += signatures.by_python
        return {"signatures": out.written}, counts


def sign_partition(
    writer: PartitionWriter,
    shards: Sequence[ShardInput],
    section: Minhash,
    *,
    quality_signal: str | None = None,
    workers: int = 1,
) -> Manifest:
    """Sign a partition's measured shards; a signature shard has its measured shard's name.

    Args:
        quality_signal: name in the ``quality`` struct that becomes the column ``quality``.

    Raises:
        SignatureError: there is no such signal.
    """
    if quality_signal is not None and quality_signal not in SIGNALS:
        raise SignatureError(
            f"the order of duplicates asks for the signal {quality_signal!r}, which is not "
            f"measured: name one of {', '.join(SIGNALS)}"
        )
    step = SignStage(writer, shards, section, quality_signal)
    return run_stage(writer, step, workers=workers)
