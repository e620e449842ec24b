"""Corpus assets: from raw snapshots to clean document shards."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from tagarela_dagster.assets.metadata import describe_clusters, describe_documents, describe_shards
from tagarela_dagster.assets.step import materialize, station_arguments
from tagarela_dagster.resources.home import workers
from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.stations import DOCUMENT_STAGES, ROAD

if TYPE_CHECKING:
    from tagarela_dagster.corpus.stage import Kernel

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

        return _map_documents(context, road, "filtered", partial(make_kernel, road.recipe.corpus))

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

        keep_list = f"keep/{context.partition_key}.parquet"
        keep_lists = road.lake.paths(road.lake.require("clusters"), keep_list)
        return _map_documents(context, road, "deduped", partial(make_kernel, keep_lists))

    @dg.asset(
        **station_arguments(road, "clean", **look, kinds={"parquet", "python"}),
        description="Documents without any benchmark item: ready to train on.",
    )
    def clean(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.decontamination import make_kernel

        items = road.lake.paths(road.lake.require("benchmarks"), "items/")
        section = road.recipe.corpus.decontamination
        return _map_documents(context, road, "clean", partial(make_kernel, items, section))

    return [documents, filtered, signatures, clusters, deduped, clean]


def _map_documents(
    context: dg.AssetExecutionContext,
    road: Road,
    asset: str,
    make_kernel: "Callable[[], Kernel]",
) -> dg.MaterializeResult:
    """Map the kept documents of the stage before with a kernel."""
    from tagarela_dagster.corpus.stage import run_stage

    before = next(read for read in ROAD[asset].reads if read in DOCUMENT_STAGES)
    shards = road.kept_shards(before, context.partition_key)
    run = partial(run_stage, shards=shards, make_kernel=make_kernel, workers=workers())
    return materialize(context, road, asset, run, describe_documents)
