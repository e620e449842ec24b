"""Lay partitions along a road by hand: sound manifests, with files that stand for shards."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.sources.pin import pin_snapshot
from tagarela_dagster.corpus.stage import split_partition
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.resources.road import Road

UP_TO_SIGNATURES = ("documents", "measured", "signatures", "filtered")
BYTES_OF_TEXT = 10
"""Bytes of text that every document of a laid partition has."""


def account(asset: str, partition: str, kept: int, quarantined: int = 0) -> Ledger:
    """A ledger that balances."""
    source, snapshot = split_partition(partition)
    documents = kept + quarantined
    sizes = (documents, documents * BYTES_OF_TEXT, kept, kept * BYTES_OF_TEXT)
    ledger = Ledger(asset, source, snapshot, *sizes)
    if quarantined:
        ledger.drop("quarantined_json", quarantined, quarantined * BYTES_OF_TEXT)
    return ledger


def lay(
    road: Road,
    asset: str,
    partition: str,
    *,
    kept: int = 3,
    quarantined: int = 0,
    content: str = "texto",
    ledger: Ledger | None = None,
) -> Manifest:
    """Publish one partition of a document stage."""
    ledger = ledger or account(asset, partition, kept, quarantined)
    with road.writing(asset, partition) as writer:
        shard = _write(writer, "kept/00000-000.parquet", content, kept)
        return writer.publish([shard], {"ledger": ledger.as_json()})


def lay_source(road: Road, partition: str) -> Manifest:
    """Pin a snapshot."""
    source = road.source_of(partition)
    with road.writing(source, partition) as writer:
        return pin_snapshot(writer, road.files[partition], "CC-BY-4.0")


def lay_clusters(road: Road, partitions: Iterable[str], content: str = "ids") -> Manifest:
    """Publish clusters with a keep-list for each partition; ``content`` may name ``{key}``."""
    with road.writing("clusters") as writer:
        write = partial(_write, writer, rows=3)
        shards = [
            write(f"keep/{key}.parquet", content.format(key=key)) for key in sorted(partitions)
        ]
        return writer.publish(shards, {"clusters": 0})


def lay_corpus(road: Road, partitions: Iterable[str], *, kept: int = 3) -> None:
    """Lay everything from the sources to ``deduped``."""
    keys = list(partitions)
    for key in keys:
        lay_source(road, key)
        for asset in UP_TO_SIGNATURES:
            lay(road, asset, key, kept=kept)
    lay_clusters(road, keys)
    for key in keys:
        lay(road, "deduped", key, kept=kept)


def states(road: Road) -> dict[str, str]:
    """State of everything between the sources and ``deduped``."""
    found = {"clusters": road.state("clusters")}
    for key in road.partitions:
        for asset in (road.source_of(key), *UP_TO_SIGNATURES, "deduped"):
            found[f"{asset}[{key}]"] = road.state(asset, key)
    return found


def not_fresh(road: Road) -> dict[str, str]:
    """What is missing or stale between the sources and ``deduped``."""
    return {name: state for name, state in states(road).items() if state != "fresh"}


def _write(writer: PartitionWriter, path: str, content: str, rows: int) -> Shard:
    with atomic_write(writer.data / path) as file:
        file.write(content)
    return Shard.of(writer.data, path, rows)
