"""Signature and decision shards written directly, and what follows from them by brute force."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.dedup.clusters import cluster_partitions
from tagarela_dagster.corpus.dedup.signatures import band_name, signature_schema
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Dedup, Minhash

MINHASH = Minhash(bands=2)
SECTION = Dedup(minhash=MINHASH)


@dataclass(frozen=True)
class Doc:
    """A signed document. ``bands``: none for one under ``n_grams`` words."""

    id: str
    text: int
    bands: tuple[int, ...] | None = None
    words: int = 9
    normal: int = 0
    url: int | None = None
    date: str | None = None
    quality: float | None = None
    reason: str | None = None


Corpus = Mapping[str, Sequence[Sequence[Doc]]]
"""Partition -> its shards -> their documents."""


def spread(value: int) -> int:
    """Keys as hashes are: over all 64 bits."""
    return value * 0x9E3779B97F4A7C15 % 2**64


def write_signed(folder: Path, corpus: Corpus) -> dict[str, list[ShardInput]]:
    """Signature shards and the decision shards beside them."""
    inputs: dict[str, list[ShardInput]] = {}
    for partition, shards in corpus.items():
        inputs[partition] = []
        for number, documents in enumerate(shards):
            name = f"{number:05d}"
            paths = tuple(folder / k / partition / f"{name}.parquet" for k in ("signed", "decided"))
            for path, table in zip(paths, _tables(documents), strict=True):
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(table, path)
            hashes = tuple(hash_file(path) for path in paths)
            inputs[partition].append(ShardInput(name, paths, hashes))
    return inputs


def _tables(documents: Sequence[Doc]) -> tuple[pa.Table, pa.Table]:
    def wide(value: int) -> bytes:
        return spread(value).to_bytes(8, "little") + spread(value + 1).to_bytes(8, "little")

    dates = [d.date and datetime.date.fromisoformat(d.date) for d in documents]
    columns = {
        "id": pa.array([d.id for d in documents], pa.string()),
        "exact": pa.array([wide(d.text) for d in documents], pa.binary(16)),
        "normalized": pa.array([wide(d.normal) for d in documents], pa.binary(16)),
        "words": pa.array([d.words for d in documents], pa.int32()),
        **{
            band_name(band): pa.array(
                [d.bands and spread(d.bands[band]) for d in documents], pa.uint64()
            )
            for band in range(MINHASH.bands)
        },
        "url_key": pa.array([d.url and spread(d.url) for d in documents], pa.uint64()),
        "date": pa.array(dates, pa.date32()),
        "quality": pa.array([d.quality for d in documents], pa.float32()),
    }
    signed = pa.table(columns)
    signed = signed.replace_schema_metadata(signature_schema(MINHASH).metadata)
    decided = pa.table(
        {"id": columns["id"], "reason": pa.array([d.reason for d in documents], pa.string())}
    )
    return signed, decided


def cluster_arguments(inputs: Mapping[str, Sequence[ShardInput]], section: Dedup) -> dict[str, Any]:
    """What the clusters of these inputs are published with."""
    hashes = {p: "".join(s.hashes[0] + s.hashes[1] for s in shards) for p, shards in inputs.items()}
    return {"code_version": "c", "section": section.as_json(), "inputs": hashes}


def cluster(
    lake: Lake,
    inputs: Mapping[str, Sequence[ShardInput]],
    section: Dedup = SECTION,
    ranks: Mapping[str, int] | None = None,
    told: dict[str, str] | None = None,
    **more: float,
) -> Manifest:
    """Clusters of signed partitions; ``told`` gets what became of each index."""
    ranks = ranks or {partition.partition("@")[0]: 1 for partition in inputs}
    note = told.__setitem__ if told is not None else None
    with lake.write("clusters", **cluster_arguments(inputs, section)) as writer:
        return cluster_partitions(writer, inputs, section, ranks, told=note, **more)


def drops(lake: Lake, manifest: Manifest) -> dict[str, tuple[str, str]]:
    """``partition/id`` -> reason and what it duplicates."""
    found = {}
    for path in lake.paths(manifest, "keep/"):
        for row in pq.read_table(path).to_pylist():
            found[f"{path.stem}/{row['id']}"] = (row["reason"], row["duplicate_of"])
    return found
