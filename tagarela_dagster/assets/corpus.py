"""Corpus assets: from raw snapshots to clean document shards."""

from functools import partial
from typing import Any

import dagster as dg

from tagarela_dagster.assets.metadata import describe_clusters, describe_documents, describe_shards
from tagarela_dagster.assets.step import materialize, station_arguments
from tagarela_dagster.resources.home import workers
from tagarela_dagster.resources.road import Road

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
            workers=workers(),
        )
        return materialize(context, road, "documents", read, describe_documents)

    @dg.asset(
        **station_arguments(road, "filtered", **look, kinds={"parquet", "python"}),
        description="Documents that pass the licence gate, line clean-up, language, repetition "
        "and quality rules; personal data replaced.\n\nThresholds are FineWeb-2's for Portuguese "
        "unless the recipe says otherwise. Dropped documents are kept aside with their reason.",
    )
    def filtered(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.filtering.kernel import make_kernel
        from tagarela_dagster.corpus.stage import run_stage

        shards = road.kept_shards("documents", context.partition_key)
        kernel = partial(make_kernel, road.recipe.corpus)
        return materialize(
            context,
            road,
            "filtered",
            lambda out: run_stage(out, shards, kernel, workers=workers()),
            describe_documents,
        )

    @dg.asset(
        **station_arguments(road, "signatures", **look, kinds={"parquet", "numpy"}),
        description="MinHash signatures and exact hashes of a snapshot's documents.\n\nComputed "
        "once for each snapshot: a refresh costs what is new.",
    )
    def signatures(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.dedup.signatures import sign_partition

        shards = road.kept_shards("filtered", context.partition_key)
        section = road.recipe.corpus.dedup.minhash
        sign = partial(sign_partition, shards=shards, section=section, workers=workers())
        return materialize(context, road, "signatures", sign, describe_shards)

    @dg.asset(
        **station_arguments(road, "clusters", **look, kinds={"parquet", "polars"}),
        description="Groups of exact and near duplicates over all sources and snapshots, and "
        "which member survives.\n\nThe same for any number of workers and any order of arrival.",
    )
    def clusters(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.dedup.clusters import cluster_partitions

        signed = {m.partition or "": road.lake.paths(m) for m in road.published("signatures")}
        ranks = {name: source.rank for name, source in road.recipe.sources.items()}
        cluster = partial(
            cluster_partitions, signed=signed, section=road.recipe.corpus.dedup, ranks=ranks
        )
        return materialize(context, road, "clusters", cluster, describe_clusters)

    @dg.asset(
        **station_arguments(road, "deduped", **look, kinds={"parquet", "python"}),
        description="One document of each group of duplicates.",
    )
    def deduped(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.dedup.keep import make_kernel
        from tagarela_dagster.corpus.stage import run_stage

        key = context.partition_key
        shards = road.kept_shards("filtered", key)
        keep_lists = road.lake.paths(road.lake.require("clusters"), f"keep/{key}.parquet")
        kernel = partial(make_kernel, keep_lists)
        return materialize(
            context,
            road,
            "deduped",
            lambda out: run_stage(out, shards, kernel, workers=workers()),
            describe_documents,
        )

    @dg.asset(
        **station_arguments(road, "clean", **look, kinds={"parquet", "python"}),
        description="Documents without any benchmark item: ready to train on.",
    )
    def clean(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.decontamination import make_kernel
        from tagarela_dagster.corpus.stage import run_stage

        shards = road.kept_shards("deduped", context.partition_key)
        items = road.lake.paths(road.lake.require("benchmarks"), "items/")
        kernel = partial(make_kernel, items, road.recipe.corpus.decontamination)
        return materialize(
            context,
            road,
            "clean",
            lambda out: run_stage(out, shards, kernel, workers=workers()),
            describe_documents,
        )

    return [documents, filtered, signatures, clusters, deduped, clean]
