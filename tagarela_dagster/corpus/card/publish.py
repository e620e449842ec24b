"""Publish the card, the Croissant metadata and the picture of the ledger as one asset."""

from __future__ import annotations

from collections.abc import Sequence

from tagarela_dagster.corpus.card.croissant import write_croissant
from tagarela_dagster.corpus.card.facts import describe_corpus
from tagarela_dagster.corpus.card.lineage import STAGES, TOKENS, ledgers, lineage
from tagarela_dagster.corpus.card.text import write_card
from tagarela_dagster.corpus.flow import sankey
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.lake import Lake, PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.model import Recipe

PICTURE = "ledger.svg"


def publish_card(
    writer: PartitionWriter,
    *,
    lake: Lake,
    recipe: Recipe,
    manifests: Sequence[Manifest],
) -> Manifest:
    """Describe the published corpus in two languages, for machines, and in a picture.

    Args:
        manifests: partitions of ``clean`` that may go on.

    Raises:
        MissingPartitionError: see ``describe_corpus``.
    """
    facts = describe_corpus(lake, recipe, manifests)
    paths = [
        write_card(facts, writer.data, "en"),
        write_card(facts, writer.data, "pt"),
        write_croissant(facts, writer.data),
    ]
    with atomic_write(writer.data / PICTURE) as file:
        lines = [lineage(lake, manifest) for manifest in manifests]
        file.write(sankey(a for stage in (*STAGES, TOKENS) for a in ledgers(lines, stage)))
    names = [*(path.name for path in paths), PICTURE]
    sources = [
        {
            "source": source.name,
            "documents": source.documents,
            "bytes": source.bytes,
            "tokens": source.tokens,
        }
        for source in facts.sources
    ]
    counts = {
        "documents": sum(source.documents for source in facts.sources),
        "bytes": sum(source.bytes for source in facts.sources),
        "sources": sources,
    }
    return writer.publish([Shard.of(writer.data, name, 0) for name in names], counts)
