"""The bundled sample through the corpus stages, on a lake of its own, without Dagster."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tagarela_dagster.corpus import decontamination
from tagarela_dagster.corpus.cleaning import clean_partition
from tagarela_dagster.corpus.dedup.clusters import cluster_partitions
from tagarela_dagster.corpus.dedup.deduped import dedup_partition
from tagarela_dagster.corpus.dedup.signatures import sign_partition
from tagarela_dagster.corpus.filtering.decide import decide_partition
from tagarela_dagster.corpus.filtering.measure import measure_partition
from tagarela_dagster.corpus.reading import read_partition
from tagarela_dagster.corpus.shards import read_batches
from tagarela_dagster.corpus.sources.discover import snapshots
from tagarela_dagster.corpus.sources.registry import plan
from tagarela_dagster.evals.benchmarks import pin_benchmarks
from tagarela_dagster.provenance.alignment import ShardInput, shard_inputs
from tagarela_dagster.provenance.lake import Lake, PartitionWriter
from tagarela_dagster.recipe.model import Recipe

DECIDED = ("filtered", "deduped")
Key = tuple[str, str]
"""Partition and document id."""


@dataclass
class Fates:
    """What became of every record.

    Attributes:
        read: (partition, id) -> text as it was read.
        ends: (partition, id) -> stage and reason where the document's road ended.
        clean: (partition, id) -> text of a document that was kept to the end.
        survivors: (partition, id) of a duplicate -> what it was said to duplicate.
        left_out: partition -> reason -> records that gave no document.
        quarantined: (partition, file, reason) of every damaged record.
        edits: partition -> edit -> bytes removed from all of its documents.
    """

    read: dict[Key, str] = field(default_factory=dict)
    ends: dict[Key, str] = field(default_factory=dict)
    clean: dict[Key, str] = field(default_factory=dict)
    survivors: dict[Key, str] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    quarantined: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    edits: dict[str, dict[str, int]] = field(default_factory=dict)


def drive(root: Path, recipe: Recipe, workers: int = 1) -> Fates:
    """Take every source of the recipe from its files to clean documents."""
    lake, corpus = Lake(root), recipe.corpus
    partitions = []
    for name, source in recipe.sources.items():
        for snapshot, files in snapshots(source).items():
            partitions.append(f"{name}@{snapshot}")
            with _writer(lake, "documents", partitions[-1]) as out:
                read_partition(
                    out,
                    plan(files, source),
                    source,
                    shard_bytes=corpus.shard_megabytes * 1_000_000,
                    max_document_bytes=corpus.max_document_megabytes * 1_000_000,
                    workers=workers,
                )
    for key in partitions:
        with _writer(lake, "measured", key) as out:
            documents = _shards(lake, key, ("documents", "kept/"))
            measure_partition(out, documents, corpus, workers=workers)
        measured = _shards(lake, key, ("measured", "kept/"))
        with _writer(lake, "signatures", key) as out:
            sign_partition(out, measured, corpus.dedup.minhash, workers=workers)
        with _writer(lake, "filtered", key) as out:
            decide_partition(out, measured, corpus, workers=workers)
    with _writer(lake, "clusters") as out:
        ranks = {name: source.rank for name, source in recipe.sources.items()}
        clusters = cluster_partitions(
            out,
            {
                key: _shards(lake, key, ("signatures", "signatures/"), ("filtered", "decisions/"))
                for key in partitions
            },
            corpus.dedup,
            ranks,
        )
    with _writer(lake, "benchmarks") as out:
        items = lake.paths(pin_benchmarks(out, recipe.evals.last_word), "items/")
    for key in partitions:
        with _writer(lake, "deduped", key) as out:
            drops = lake.paths(clusters, f"keep/{key}.parquet")
            dedup_partition(out, _shards(lake, key, ("filtered", "decisions/")), drops)
        with _writer(lake, "clean", key) as out:
            shards = _shards(lake, key, ("measured", "kept/"), ("deduped", "decisions/"))
            kernel = partial(decontamination.make_kernel, items, corpus.decontamination)
            clean_partition(out, shards, kernel, workers=workers)
    return _collect(lake, partitions)


def _writer(
    lake: Lake, asset: str, partition: str | None = None
) -> AbstractContextManager[PartitionWriter]:
    return lake.write(asset, partition, code_version="test", section={}, inputs={})


def _shards(lake: Lake, key: str, *inputs: tuple[str, str]) -> list[ShardInput]:
    return shard_inputs(lake, *((lake.require(asset, key), prefix) for asset, prefix in inputs))


def _paths(lake: Lake, asset: str, key: str, prefix: str) -> list[Path]:
    return lake.paths(lake.require(asset, key), prefix)


def _collect(lake: Lake, partitions: list[str]) -> Fates:
    fates = Fates()
    for key in partitions:
        manifest = lake.require("documents", key)
        fates.left_out[key] = manifest.counts["ledger"]["dropped"]
        fates.read |= {
            (key, row["id"]): row["text"] for row in _rows(_paths(lake, "documents", key, "kept/"))
        }
        for path in lake.paths(manifest, "quarantine/"):
            for line in path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                fates.quarantined[key, record["file"], record["reason"]] += 1
        fates.edits[key] = lake.require("measured", key).counts["ledger"]["edited_bytes"]
        for stage in DECIDED:
            for row in _rows(_paths(lake, stage, key, "decisions/")):
                if row["reason"]:
                    fates.ends.setdefault((key, row["id"]), f"{stage}/{row['reason']}")
                if row["duplicate_of"]:
                    fates.survivors[key, row["id"]] = row["duplicate_of"]
        for row in _rows(_paths(lake, "clean", key, "dropped/")):
            fates.ends[key, row["id"]] = f"clean/{row['reason']}"
        fates.clean |= {
            (key, row["id"]): row["text"] for row in _rows(_paths(lake, "clean", key, "kept/"))
        }
    return fates


def _rows(paths: list[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        for batch in read_batches(path):
            yield from batch.to_pylist()
