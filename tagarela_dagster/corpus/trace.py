"""Trace: one document through every stage, from what the lake holds.

Also ``locate``, which finds the documents that an id, a URL, a host or a text's hash means.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.dataset import dataset

from tagarela_dagster.corpus.shards import read_batches
from tagarela_dagster.corpus.tombstones import Target, sha256
from tagarela_dagster.provenance.lake import Lake

MEMBERS_SHOWN = 100
"""Members of a cluster that a trace names, in the order of their partitions, shards and rows."""


@dataclass(frozen=True)
class Place:
    """Where a document stands: row ``row`` of shard ``shard``, in every row-aligned stage."""

    partition: str
    shard: str
    row: int
    id: str


@dataclass(frozen=True)
class Stop:
    """What one stage did with a document: a word for it, and details (JSON types)."""

    stage: str
    fate: str
    details: dict[str, Any]


def locate(lake: Lake, target: Target, partitions: Sequence[str]) -> Iterator[Place]:
    """Documents that ``target`` means, as they were read or, for a text's hash, as they are now."""
    for partition in partitions:
        if target.kind == "id" and not target.value.startswith(partition.partition("@")[0] + ":"):
            continue
        for asset in ("documents", "measured") if target.kind == "text" else ("documents",):
            manifest = lake.manifest(asset, partition)
            for path in lake.paths(manifest, "kept/") if manifest else []:
                for row, name in _matching(path, target):
                    yield Place(partition, path.stem, row, name)


def trace(lake: Lake, place: Place) -> list[Stop]:
    """What every stage that has seen the document did with it, in order."""
    return [
        _document(lake, place),
        *_measured(lake, place),
        *_decision(lake, place, "filtered"),
        *_cluster(lake, place),
        *_decision(lake, place, "deduped"),
        *_clean(lake, place),
        *_tokens(lake, place),
    ]


def _matching(path: Path, target: Target) -> Iterator[tuple[int, str]]:
    columns = ["id", "text"] if target.kind == "text" else ["id", "url"]
    start = 0
    for batch in read_batches(path, columns):
        if target.kind == "id":
            rows = pc.indices_nonzero(pc.equal(batch.column("id"), target.value)).to_pylist()
        else:
            found = batch.to_pylist()
            rows = [index for index, row in enumerate(found) if target.matches(row)]
        yield from ((start + row, batch.column("id")[row].as_py()) for row in rows)
        start += batch.num_rows


def read_row(path: Path, row: int, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """One row of a shard."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < rows:
                table = file.read_row_group(group, columns=list(columns) if columns else None)
                found: dict[str, Any] = table.slice(row, 1).to_pylist()[0]
                return found
            row -= rows
    raise IndexError(f"{path} has no row {row}")


def _shard(lake: Lake, place: Place, asset: str, prefix: str) -> Path | None:
    manifest = lake.manifest(asset, place.partition)
    paths = lake.paths(manifest, prefix) if manifest else []
    return next((path for path in paths if path.stem == place.shard), None)


def _document(lake: Lake, place: Place) -> Stop:
    path = _shard(lake, place, "documents", "kept/")
    assert path is not None
    row = read_row(path, place.row)
    text, meta = row.pop("text"), json.loads(row.pop("meta"))
    row.pop("quality")
    known = {name: str(value) for name, value in row.items() if value is not None}
    details = {**known, "bytes": len(text.encode()), "sha256": sha256(text), "meta": meta}
    where = {"partition": place.partition, "shard": place.shard, "row": place.row}
    return Stop("documents", "read", {**where, **details})


def _measured(lake: Lake, place: Place) -> Iterator[Stop]:
    path = _shard(lake, place, "measured", "kept/")
    if path is None:
        return
    row = read_row(path, place.row)
    signals = {name: value for name, value in row["quality"].items() if value is not None}
    removed = {name: size for name, size in row["removed"].items() if size}
    names = ("language", "language_score", "variety", "variety_score")
    details = {name: row[name] for name in names if row[name] is not None}
    size = len(row["text"].encode())
    details |= {"bytes": size, "sha256": sha256(row["text"]), "removed": removed}
    yield Stop("measured", "edited" if removed else "unchanged", {**details, "signals": signals})


def _decision(lake: Lake, place: Place, asset: str) -> Iterator[Stop]:
    path = _shard(lake, place, asset, "decisions/")
    if path is None:
        return
    row = read_row(path, place.row)
    details = {"reason": row["reason"], "duplicate_of": row["duplicate_of"]}
    known = {name: value for name, value in details.items() if value}
    yield Stop(asset, "dropped" if row["reason"] else "kept", known)


def _cluster(lake: Lake, place: Place) -> Iterator[Stop]:
    """The document's cluster, with its first members: of boilerplate there may be millions."""
    manifest = lake.manifest("clusters")
    for path in lake.paths(manifest, "clusters.parquet") if manifest else []:
        of = [("id", "=", place.id), ("partition", "=", place.partition)]
        for row in pq.read_table(path, columns=["cluster", "size"], filters=of).to_pylist():
            with_it = dataset(path).scanner(filter=pc.field("cluster") == row["cluster"])
            members = with_it.head(MEMBERS_SHOWN).to_pylist()
            details = {"cluster": row["cluster"], "members": members}
            yield Stop("clusters", f"one of {row['size']}", details)


def _clean(lake: Lake, place: Place) -> Iterator[Stop]:
    for prefix, fate in (("kept/", "kept"), ("dropped/", "dropped")):
        path = _shard(lake, place, "clean", prefix)
        if path is None:
            continue
        for batch in read_batches(path):
            for row in batch.filter(pc.equal(batch.column("id"), place.id)).to_pylist():
                details = {"sha256": sha256(row["text"]), "bytes": len(row["text"].encode())}
                if fate == "dropped":
                    details["reason"] = row["reason"]
                if found := json.loads(row["meta"]).get("contamination"):
                    details["contamination"] = found
                yield Stop("clean", fate, details)


def _tokens(lake: Lake, place: Place) -> Iterator[Stop]:
    path = _shard(lake, place, "tokens", "documents/")
    if path is None:
        return
    table = pq.read_table(path, filters=pc.field("id") == pa.scalar(place.id))
    for row in table.select(["start", "length"]).to_pylist():
        details = {"shard": place.shard, "start": row["start"], "tokens": row["length"]}
        yield Stop("tokens", "tokenized", details)
