"""Corpus assets: from raw snapshots to clean document shards."""

from functools import partial
from typing import Any

import dagster as dg

from tagarela_dagster.assets.metadata import (
    describe_clusters,
    describe_decisions,
    describe_documents,
    describe_shards,
)
from tagarela_dagster.assets.step import materialize, station_arguments
from tagarela_dagster.resources.home import workers
from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.takedown import tombstones_of

CORPUS_LOOK: dict[str, Any] = {
    "group_name": "corpus",
    "owners": ["team:corpus"],
}


def build_corpus(road: Road) -> list[dg.AssetsDefinition]:
    """The corpus group, from documents to clean."""
    look = CORPUS_LOOK

    @dg.asset(
        **station_arguments(road, "documents", **look, kinds={"parquet", "python"}),
        description="Native records read into documents: one row a document, in Parquet shards.\n\n"
        "Damaged records are quarantined with file, offset and reason, and counted.",
    )
    def documents(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.reading import read_partition
        from tagarela_dagster.corpus.sources.registry import plan

        key, corpus = context.partition_key, road.recipe.corpus
        source = road.recipe.sources[road.source_of(key)]
        read = partial(
            read_partition,
            units=plan(road.files.get(key, []), source),
            source=source,
            shard_bytes=corpus.shard_megabytes * 1_000_000,
            max_document_bytes=corpus.max_document_megabytes * 1_000_000,
            tombstones=tombstones_of(road.home),
            workers=workers(),
        )
        return materialize(context, road, "documents", read, describe_documents)

    @dg.asset(
        **station_arguments(road, "measured", **look, kinds={"parquet", "python"}),
        description="Documents with their lines cleaned and personal data replaced, and every "
        "signal of every document.\n\nNothing is dropped here: a threshold can change without any "
        "text being read again.",
    )
    def measured(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.filtering.measure import measure_partition

        measure = partial(
            measure_partition,
            shards=road.beside(context.partition_key, ("documents", "kept/")),
            corpus=road.recipe.corpus,
            lexicon=road.home.lexicon,
            workers=workers(),
        )
        return materialize(context, road, "measured", measure, describe_documents)

    @dg.asset(
        **station_arguments(road, "signatures", **look, kinds={"parquet", "numpy"}),
        description="MinHash signatures and exact hashes of a snapshot's documents.\n\nComputed "
        "once for each snapshot: a refresh costs what is new.",
    )
    def signatures(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.dedup.signatures import sign_partition

        sign = partial(
            sign_partition,
            shards=road.beside(context.partition_key, ("measured", "kept/")),
            section=road.recipe.corpus.dedup.minhash,
            workers=workers(),
        )
        return materialize(context, road, "signatures", sign, describe_shards)

    @dg.asset(
        **station_arguments(road, "filtered", **look, kinds={"parquet", "python"}),
        description="Which documents pass the licence gate, language, repetition and quality "
        "rules, and why the others do not.\n\nThresholds are FineWeb-2's for Portuguese unless "
        "the recipe says otherwise. Decisions only: no text is read or written.",
    )
    def filtered(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.filtering.decide import decide_partition

        decide = partial(
            decide_partition,
            shards=road.beside(context.partition_key, ("measured", "kept/")),
            corpus=road.recipe.corpus,
            workers=workers(),
        )
        return materialize(context, road, "filtered", decide, describe_decisions)

    @dg.asset(
        **station_arguments(road, "clusters", **look, kinds={"parquet", "polars"}),
        description="Groups of exact and near duplicates over all sources and snapshots, and "
        "which member survives.\n\nThe same for any number of workers and any order of arrival.",
    )
    def clusters(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.dedup.clusters import cluster_partitions

        keys = [m.partition or "" for m in road.published("filtered")]
        signed = {
            key: road.lake.paths(road.require("signatures", key), "signatures/") for key in keys
        }
        decisions = {
            key: road.lake.paths(road.require("filtered", key), "decisions/") for key in keys
        }
        ranks = {name: source.rank for name, source in road.recipe.sources.items()}
        cluster = partial(
            cluster_partitions,
            signed=signed,
            decisions=decisions,
            section=road.recipe.corpus.dedup,
            ranks=ranks,
        )
        return materialize(context, road, "clusters", cluster, describe_clusters)

    @dg.asset(
        **station_arguments(road, "deduped", **look, kinds={"parquet", "python"}),
        description="One document of each group of duplicates: the keep-list laid over the "
        "filters' decisions.",
    )
    def deduped(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.dedup.deduped import dedup_partition

        key = context.partition_key
        dedup = partial(
            dedup_partition,
            shards=road.beside(key, ("filtered", "decisions/")),
            keep_list=road.lake.paths(road.lake.require("clusters"), f"keep/{key}.parquet"),
            workers=workers(),
        )
        return materialize(context, road, "deduped", dedup, describe_decisions)

    @dg.asset(
        **station_arguments(road, "clean", **look, kinds={"parquet", "python"}),
        description="The documents that are kept, without any benchmark item: ready to train on."
        "\n\nA refresh writes only the shards whose decisions have changed.",
    )
    def clean(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.cleaning import clean_partition
        from tagarela_dagster.corpus.decontamination import make_kernel

        benchmarks = road.lake.require("benchmarks")
        items = road.lake.paths(benchmarks, "items/")
        clean_ = partial(
            clean_partition,
            shards=road.beside(
                context.partition_key, ("measured", "kept/"), ("deduped", "decisions/")
            ),
            make_kernel=partial(make_kernel, items, road.recipe.corpus.decontamination),
            shared={"benchmarks": benchmarks.hash},
            workers=workers(),
        )
        return materialize(context, road, "clean", clean_, describe_documents)

    return [documents, measured, signatures, filtered, clusters, deduped, clean]
