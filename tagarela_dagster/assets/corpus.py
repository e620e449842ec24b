"""Corpus assets: from raw snapshots to clean document shards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import dagster as dg

from tagarela_dagster.assets.card import describe_card, describe_contamination
from tagarela_dagster.assets.metadata import (
    describe_clusters,
    describe_decisions,
    describe_documents,
    describe_reading,
    describe_shards,
)
from tagarela_dagster.assets.step import materialize, station_arguments
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.making import make
from tagarela_dagster.resources.road import Road

CORPUS_LOOK: dict[str, Any] = {
    "group_name": "corpus",
    "owners": ["team:corpus"],
}


@dataclass(frozen=True)
class Room:
    """How a corpus station looks on the page."""

    description: str
    kinds: frozenset[str]
    describe: Callable[[Road, Manifest], Mapping[str, Any]]


ROOMS = {
    "documents": Room(
        "Native records read into documents: one row a document, in Parquet shards.\n\n"
        "Damaged records are quarantined with file, offset and reason, and counted.",
        frozenset({"parquet", "python"}),
        describe_reading,
    ),
    "measured": Room(
        "Documents with their lines cleaned and personal data replaced, and every signal of "
        "every document.\n\nNothing is dropped here: a threshold can change without any text "
        "being read again.",
        frozenset({"parquet", "numpy"}),
        describe_documents,
    ),
    "signatures": Room(
        "MinHash signatures and exact hashes of a snapshot's documents.\n\nComputed once for "
        "each snapshot: a refresh costs what is new.",
        frozenset({"parquet", "numpy"}),
        describe_shards,
    ),
    "filtered": Room(
        "Which documents pass the licence gate, language, repetition and quality rules, and why "
        "the others do not.\n\nThresholds are FineWeb-2's for Portuguese unless the recipe says "
        "otherwise. Decisions only: no text is read or written.",
        frozenset({"parquet", "python"}),
        describe_decisions,
    ),
    "clusters": Room(
        "Groups of exact and near duplicates over all sources and snapshots, and which member "
        "survives.\n\nThe same for any number of workers and any order of arrival.",
        frozenset({"parquet", "numpy"}),
        describe_clusters,
    ),
    "deduped": Room(
        "One document of each group of duplicates: the keep-list laid over the filters' decisions.",
        frozenset({"parquet", "python"}),
        describe_decisions,
    ),
    "repeats": Room(
        "Lines that stand in many documents, and runs of words that an earlier document has: what "
        "clean cuts out of each.\n\nCounted exactly over all sources; only texts that are new "
        "are hashed.",
        frozenset({"parquet", "numpy"}),
        describe_shards,
    ),
    "clean": Room(
        "The documents that are kept, without any benchmark item: ready to train on.\n\nA "
        "refresh writes only the shards whose decisions have changed.",
        frozenset({"parquet", "python"}),
        describe_documents,
    ),
    "contamination": Room(
        "Which benchmark items stood in the corpus, in which documents and how long a run, before "
        "they were taken out; and what is left.\n\nEach score shows its share.",
        frozenset({"report", "parquet"}),
        describe_contamination,
    ),
    "card": Room(
        "The corpus described from its lineage: a data card in English and Portuguese, Croissant "
        "metadata, and where every document went.\n\n`tagarela export` writes the corpus with "
        "them for any peer to read.",
        frozenset({"report", "json"}),
        describe_card,
    ),
}
"""In the order of the flow."""


def build_corpus(road: Road) -> list[dg.AssetsDefinition]:
    """The corpus group, from documents to clean."""
    return [_asset(road, name, room) for name, room in ROOMS.items() if name in road.stations]


def _asset(road: Road, name: str, room: Room) -> dg.AssetsDefinition:
    arguments = station_arguments(road, name, **CORPUS_LOOK, kinds=set(room.kinds))

    @dg.asset(**arguments, description=room.description)
    def station(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        return materialize(context, road, name, partial(make, road), room.describe)

    return station
