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
from tagarela_dagster.corpus.dedup import keep
from tagarela_dagster.corpus.dedup.clusters import cluster_partitions
from tagarela_dagster.corpus.dedup.signatures import sign_partition
from tagarela_dagster.corpus.filtering import kernel as filtering
from tagarela_dagster.corpus.reading import read_partition
from tagarela_dagster.corpus.shards import read_batches
from tagarela_dagster.corpus.sources.discover import snapshots
from tagarela_dagster.corpus.sources.registry import plan
from tagarela_dagster.corpus.stage import Kernel, run_stage
from tagarela_dagster.evals.benchmarks import pin_benchmarks
from tagarela_dagster.provenance.lake import Lake, PartitionWriter
from tagarela_dagster.recipe.model import Recipe

STAGES = ("filtered", "deduped", "clean")
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
        edits: partition -> edit -> bytes removed.
    """

    read: dict[Key, str] = field(default_factory=dict)
    ends: dict[Key, str] = field(default_factory=dict)
    clean: dict[Key, str] = field(default_factory=dict)
    survivors: dict[Key, str] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    quarantined: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    edits: dict[str, dict[str, int]] = field(default_factory=dict)


def drive(root: Path, recipe: Recipe) -> Fates:
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
                )
    for key in partitions:
        _stage(lake, "filtered", "documents", key, partial(filtering.make_kernel, corpus))
        with _writer(lake, "signatures", key) as out:
            sign_partition(out, _kept(lake, "filtered", key), corpus.dedup.minhash)
    with _writer(lake, "clusters") as out:
        signed = {key: lake.paths(lake.require("signatures", key)) for key in partitions}
        ranks = {name: source.rank for name, source in recipe.sources.items()}
        clusters = cluster_partitions(out, signed, corpus.dedup, ranks)
    with _writer(lake, "benchmarks") as out:
        items = lake.paths(pin_benchmarks(out, recipe.evals.last_word), "items/")
    for key in partitions:
        drops = lake.paths(clusters, f"keep/{key}.parquet")
        _stage(lake, "deduped", "filtered", key, partial(keep.make_kernel, drops))
        kernel = partial(decontamination.make_kernel, items, corpus.decontamination)
        _stage(lake, "clean", "deduped", key, kernel)
    return _collect(lake, partitions)


def _writer(
    lake: Lake, asset: str, partition: str | None = None
) -> AbstractContextManager[PartitionWriter]:
    return lake.write(asset, partition, code_version="test", section={}, inputs={})


def _stage(lake: Lake, stage: str, before: str, key: str, make_kernel: partial[Kernel]) -> None:
    with _writer(lake, stage, key) as out:
        run_stage(out, _kept(lake, before, key), make_kernel)


def _kept(lake: Lake, stage: str, key: str) -> list[Path]:
    return lake.paths(lake.require(stage, key), "kept/")


def _collect(lake: Lake, partitions: list[str]) -> Fates:
    fates = Fates()
    for key in partitions:
        manifest = lake.require("documents", key)
        fates.left_out[key] = manifest.counts["ledger"]["dropped"]
        fates.read |= {
            (key, row["id"]): row["text"] for row in _rows(_kept(lake, "documents", key))
        }
        for path in lake.paths(manifest, "quarantine/"):
            for line in path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                fates.quarantined[key, record["file"], record["reason"]] += 1
        for stage in STAGES:
            manifest = lake.require(stage, key)
            for name, size in manifest.counts["ledger"]["edited_bytes"].items():
                fates.edits.setdefault(key, {})[name] = size
            for row in _rows(lake.paths(manifest, "dropped/")):
                fates.ends[key, row["id"]] = f"{stage}/{row['reason']}"
                survivor = json.loads(row["meta"]).get("duplicate_of")
                if survivor:
                    fates.survivors[key, row["id"]] = survivor
        fates.clean |= {(key, row["id"]): row["text"] for row in _rows(_kept(lake, "clean", key))}
    return fates


def _rows(paths: list[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        for batch in read_batches(path):
            yield from batch.to_pylist()
