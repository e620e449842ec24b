"""Held-out documents: kept from training, for bits per byte and last-word items.

Whether a document is held out is a pure function of its id, so that tokenizer, token shards and
evaluation agree without talking to each other, and every later snapshot of the same page stays
held out. The split is taken after dedup, so no near duplicate of a held-out document is trained
on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from xxhash import xxh64_intdigest

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA
from tagarela_dagster.corpus.shards import ShardWriter, read_batches
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.evals import HeldOut

NAME = "held_out"


class HeldOutError(ValueError):
    """The split is empty."""


def held_out_hash(ids: Iterable[str], seed: int) -> NDArray[np.uint64]:
    """(ids,) place of each id in [0, 2**64): XXH64 of ``held_out:SEED:ID``."""
    prefix = f"held_out:{seed}:"
    return np.fromiter((xxh64_intdigest(prefix + i) for i in ids), np.uint64)


def is_held_out(
    ids: pa.Array | pa.ChunkedArray | Sequence[str], share: float, seed: int
) -> NDArray[np.bool_]:
    """(ids,) True for documents that training must not see: those in the lowest ``share``."""
    values = ids.to_pylist() if isinstance(ids, pa.Array | pa.ChunkedArray) else ids
    return held_out_hash(values, seed) < _threshold(share)


def publish_held_out(
    writer: PartitionWriter, shards: Sequence[Path], section: HeldOut, seed: int
) -> Manifest:
    """Write ``held_out.parquet`` (DOCUMENT_SCHEMA): the held-out documents that are scored.

    At most ``section.max_documents``, evenly over the sources and, within a source, those with
    the lowest hash. A document that several snapshots hold is taken from the first shard that has
    it. Shards are read twice, a batch at a time: their order is the order of the output.

    Raises:
        HeldOutError: nothing is held out.
    """
    found: dict[str, _Source] = {}
    for path in shards:
        for batch in read_batches(path, ["id", "source"]):
            for source, ids in _held_out_ids(batch, section.share, seed).items():
                found.setdefault(source, _Source()).add(ids, seed)
    quotas = share_evenly({name: len(s.ids) for name, s in found.items()}, section.max_documents)
    chosen = {i for name, source in found.items() for i in source.lowest(quotas[name])}
    if not chosen:
        raise HeldOutError(
            f"no document is held out (evals.held_out.share is {section.share}): the corpus is "
            "too small for this share, raise it"
        )
    with ShardWriter(writer.data, NAME, DOCUMENT_SCHEMA) as out:
        for path in shards:
            for batch in read_batches(path):
                mask = []
                for document_id in batch.column("id").to_pylist():
                    mask.append(document_id in chosen)
                    chosen.discard(document_id)
                if any(mask):
                    out.write(batch.filter(pa.array(mask)).cast(DOCUMENT_SCHEMA))
    counts = {
        "documents": sum(quotas.values()),
        "held_out": sum(len(s.ids) for s in found.values()),
        "sources": {
            name: {"held_out": len(found[name].ids), "scored": quotas[name]}
            for name in sorted(found)
        },
    }
    return writer.publish([Shard.of(writer.data, name, rows) for name, rows in out.written], counts)


def share_evenly(available: Mapping[str, int], total: int) -> dict[str, int]:
    """How many of ``total`` each name gives: equal parts, and what a name lacks from the others.

    Names with less come first, so the parts that are left grow; a remainder goes to the names
    with more, in order of the names.
    """
    parts: dict[str, int] = {}
    left = total
    for index, name in enumerate(sorted(available, key=lambda n: (available[n], n))):
        parts[name] = min(available[name], left // (len(available) - index))
        left -= parts[name]
    return parts


@dataclass
class _Source:
    """Held-out documents of one source: id -> hash."""

    ids: dict[str, int] = field(default_factory=dict)

    def add(self, ids: list[str], seed: int) -> None:
        self.ids.update(zip(ids, held_out_hash(ids, seed).tolist(), strict=True))

    def lowest(self, number: int) -> list[str]:
        return sorted(self.ids, key=lambda i: (self.ids[i], i))[:number]


def _held_out_ids(batch: pa.RecordBatch, share: float, seed: int) -> dict[str, list[str]]:
    held = batch.filter(pa.array(is_held_out(batch.column("id"), share, seed)))
    ids: dict[str, list[str]] = {}
    for row in held.to_pylist():
        ids.setdefault(row["source"], []).append(row["id"])
    return ids


def _threshold(share: float) -> np.uint64:
    return np.uint64(min(int(share * 2**64), 2**64 - 1))
