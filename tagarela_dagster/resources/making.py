"""How each corpus station is made: the road's inputs and the recipe, handed to a library.

Assets, benchmarks and tests make a partition through here, so that they make the same thing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.home import workers
from tagarela_dagster.resources.inputs import offered_files, training_partitions
from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.takedown import tombstones_of

Make = Callable[[PartitionWriter], Manifest]


def make(road: Road, writer: PartitionWriter) -> Manifest:
    """Write the partition of a corpus station that ``writer`` holds.

    Inputs are looked up now and not before: the hashes that the manifest will name are older, so
    an input that is made again meanwhile leaves the partition stale and never wrong.
    """
    return making(road, writer.asset, writer.partition)(writer)


def making(road: Road, asset: str, partition: str | None = None) -> Make:
    """What writes a partition of a corpus station from its inputs as they are now."""
    if partition is None:
        return WHOLE[asset](road)
    return SNAPSHOT[asset](road, partition)


def _documents(road: Road, key: str) -> Make:
    from tagarela_dagster.corpus.reading import read_partition
    from tagarela_dagster.corpus.sources.registry import plan

    corpus = road.recipe.corpus
    source = road.recipe.sources[road.source_of(key)]
    return partial(
        read_partition,
        units=plan(offered_files(road, key), source),
        source=source,
        shard_bytes=corpus.shard_megabytes * 1_000_000,
        max_document_bytes=corpus.max_document_megabytes * 1_000_000,
        tombstones=tombstones_of(road.home),
        workers=workers(),
    )


def _measured(road: Road, key: str) -> Make:
    from tagarela_dagster.corpus.filtering.measure import measure_partition

    return partial(
        measure_partition,
        shards=road.beside(key, ("documents", "kept/")),
        corpus=road.recipe.corpus,
        lexicon=road.home.lexicon,
        models={
            name: (road.lake.data(name), road.lake.require(name).hash)
            for name in road.recipe.corpus.models.assets
        },
        workers=workers(),
    )


def _signatures(road: Road, key: str) -> Make:
    from tagarela_dagster.corpus.dedup.signatures import sign_partition

    dedup = road.recipe.corpus.dedup
    return partial(
        sign_partition,
        shards=road.beside(key, ("measured", "kept/")),
        section=dedup.minhash,
        quality_signal=dedup.quality_signal,
        workers=workers(),
    )


def _filtered(road: Road, key: str) -> Make:
    from tagarela_dagster.corpus.filtering.decide import decide_partition

    return partial(
        decide_partition,
        shards=road.beside(key, ("measured", "kept/")),
        corpus=road.recipe.corpus,
        workers=workers(),
    )


def _clusters(road: Road) -> Make:
    from tagarela_dagster.corpus.dedup.clusters import cluster_partitions

    keys = [manifest.partition or "" for manifest in road.published("filtered")]
    return partial(
        cluster_partitions,
        shards={
            key: road.beside(key, ("signatures", "signatures/"), ("filtered", "decisions/"))
            for key in keys
        },
        section=road.recipe.corpus.dedup,
        ranks={name: source.rank for name, source in road.recipe.sources.items()},
        readers={name: source.reader for name, source in road.recipe.sources.items()},
        previous=road.lake.folder("clusters"),
    )


def _deduped(road: Road, key: str) -> Make:
    from tagarela_dagster.corpus.dedup.deduped import dedup_partition

    return partial(
        dedup_partition,
        shards=road.beside(key, ("filtered", "decisions/")),
        keep_list=road.lake.paths(road.lake.require("clusters"), f"keep/{key}.parquet"),
        workers=workers(),
    )


def _repeats(road: Road) -> Make:
    from tagarela_dagster.corpus.dedup.cuts import find_repeats

    keys = [manifest.partition or "" for manifest in road.published("deduped")]
    texts = (
        ("signatures", "signatures/"),
        ("filtered", "decisions/"),
        ("measured", "kept/"),
        ("deduped", "decisions/"),
    )
    return partial(
        find_repeats,
        shards={key: road.beside(key, *texts) for key in keys},
        section=road.recipe.corpus.dedup,
        ranks={name: source.rank for name, source in road.recipe.sources.items()},
        previous=road.lake.folder("repeats"),
    )


def _clean(road: Road, key: str) -> Make:
    from tagarela_dagster.corpus.cleaning import clean_partition
    from tagarela_dagster.corpus.decontamination import make_kernel

    benchmarks = road.lake.require("benchmarks")
    items = road.lake.paths(benchmarks, "items/")
    cuts: list[Path] = []
    if "repeats" in road.stations:
        cuts = road.lake.paths(road.lake.require("repeats"), f"cuts/{key}.parquet")
    return partial(
        clean_partition,
        shards=road.beside(key, ("measured", "kept/"), ("deduped", "decisions/")),
        make_kernel=partial(make_kernel, items, road.recipe.corpus.decontamination),
        shared={"benchmarks": benchmarks.hash},
        cuts=cuts,
        workers=workers(),
    )


def _variety_model(road: Road) -> Make:
    from tagarela_dagster.corpus.models.training import train_variety

    return partial(
        train_variety,
        documents=_training_documents(road, "variety_model"),
        section=road.recipe.corpus.models.variety,
        seed=road.recipe.seed,
    )


def _perplexity_model(road: Road) -> Make:
    from tagarela_dagster.corpus.models.training import train_perplexity

    return partial(
        train_perplexity,
        documents=_training_documents(road, "perplexity_model"),
        section=road.recipe.corpus.models.perplexity,
    )


def _classifiers(road: Road) -> Make:
    from tagarela_dagster.corpus.models.training import train_classifiers

    return partial(
        train_classifiers,
        documents=_training_documents(road, "classifiers"),
        sections=road.recipe.corpus.models.classifiers,
        seed=road.recipe.seed,
    )


def _training_documents(road: Road, asset: str) -> dict[str, list[Path]]:
    keys = training_partitions(road, asset)
    return {name: road.kept_shards("documents", key) for name, key in keys.items()}


def _contamination(road: Road) -> Make:
    from tagarela_dagster.corpus.decontamination.report import publish_report

    return partial(
        publish_report,
        shards=[p for m in road.published("clean") for p in road.lake.paths(m, "contamination/")],
        item_files=road.lake.paths(road.lake.require("benchmarks"), "items/"),
        section=road.recipe.corpus.decontamination,
    )


def _card(road: Road) -> Make:
    from tagarela_dagster.corpus.card.publish import publish_card

    return partial(
        publish_card,
        lake=road.lake,
        recipe=road.recipe,
        manifests=road.published("clean"),
    )


WHOLE: dict[str, Callable[[Road], Make]] = {
    "variety_model": _variety_model,
    "perplexity_model": _perplexity_model,
    "classifiers": _classifiers,
    "clusters": _clusters,
    "repeats": _repeats,
    "contamination": _contamination,
    "card": _card,
}
SNAPSHOT: dict[str, Callable[[Road, str], Make]] = {
    "documents": _documents,
    "measured": _measured,
    "signatures": _signatures,
    "filtered": _filtered,
    "deduped": _deduped,
    "clean": _clean,
}
