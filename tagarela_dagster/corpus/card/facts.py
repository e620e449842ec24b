"""Facts of a corpus: everything that its card says, from manifests, ledgers and the recipe.

No figure is typed by hand: sources and shards come from the manifests of ``clean``, what was
dropped from the ledgers of every stage, thresholds from the recipe sections that the manifests were
made with, and the rest from one pass over the metadata columns of the clean shards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagarela_dagster.corpus.card.counts import Counts, count_shards, ranked
from tagarela_dagster.corpus.card.lineage import STAGES, TOKENS, Lineage, ledgers, lineage
from tagarela_dagster.corpus.ledger import total
from tagarela_dagster.corpus.stage import split_partition
from tagarela_dagster.provenance.fingerprint import fingerprint
from tagarela_dagster.provenance.lake import Lake, MissingPartitionError
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.card import Card
from tagarela_dagster.recipe.model import Recipe

Tallies = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class FileFacts:
    """One exported Parquet file. ``path`` is relative to the export's folder."""

    path: str
    source: str
    bytes: int
    rows: int
    sha256: str


@dataclass(frozen=True)
class SourceFacts:
    """One source: documents and UTF-8 bytes of clean text, tokens if tokenized."""

    name: str
    reader: str
    snapshots: tuple[str, ...]
    documents: int
    bytes: int
    tokens: int | None
    licenses: Tallies
    varieties: Tallies
    years: Tallies


@dataclass(frozen=True)
class StageFacts:
    """What a stage took in and what it dropped: (reason, documents, bytes), edits in bytes."""

    name: str
    documents_in: int
    bytes_in: int
    dropped: tuple[tuple[str, int, int], ...]
    edits: Tallies


@dataclass(frozen=True)
class CorpusFacts:
    """What is known of a corpus.

    Attributes:
        lineage: SHA-256 over the hashes of the clean manifests: names exactly this corpus.
        settings: stage -> recipe section that its manifests name.
        files: shards as they are exported with all columns.
        hosts: the most frequent; hosts_known: how many there are, None where some were forgotten.
        without_url: documents without a URL.
        benchmarks: tasks that the corpus was decontaminated against.
        held_out_share: of the documents that are held out for evaluation, and are in the corpus.
    """

    name: str
    description: str
    card: Card
    lineage: str
    documents: int
    bytes: int
    tokens: int | None
    sources: tuple[SourceFacts, ...]
    licenses: Tallies
    varieties: Tallies
    languages: Tallies
    years: Tallies
    hosts: Tallies
    hosts_known: int | None
    without_url: int
    benchmarks: tuple[str, ...]
    held_out_share: float
    stages: tuple[StageFacts, ...]
    settings: Mapping[str, Any]
    files: tuple[FileFacts, ...]

    @property
    def title(self) -> str:
        """Title of the card."""
        return self.card.title or self.name

    def share_without(self, tallies: Tallies) -> float:
        """Share of documents whose metadata do not say."""
        return dict(tallies).get("", 0) / self.documents if self.documents else 0.0

    @property
    def share_without_url(self) -> float:
        """Share of documents without a URL."""
        return self.without_url / self.documents if self.documents else 0.0


def describe_corpus(
    lake: Lake, recipe: Recipe, manifests: Sequence[Manifest] | None = None
) -> CorpusFacts:
    """Facts of the published ``clean`` partitions.

    Args:
        manifests: partitions of ``clean`` to describe; by default all of the recipe's sources.

    Raises:
        MissingPartitionError: no partition of ``clean`` is published, or an earlier stage of one
            was made again since.
    """
    if manifests is None:
        keys = lake.partitions("clean")
        manifests = [
            lake.require("clean", k) for k in keys if split_partition(k)[0] in recipe.sources
        ]
    if not manifests:
        raise MissingPartitionError("clean has no partition yet: materialize the corpus first")
    manifests = sorted(manifests, key=lambda m: m.partition or "")
    lines = [lineage(lake, manifest) for manifest in manifests]
    whole = Counts()
    sources = []
    for name in sorted({split_partition(m.partition or "")[0] for m in manifests}):
        own = [line for line in lines if split_partition(line["clean"].partition or "")[0] == name]
        clean = [line["clean"] for line in own]
        counts = count_shards(path for m in clean for path in lake.paths(m, "kept/"))
        sources.append(_source(recipe, name, own, counts))
        whole.merge(counts)
    tokens = [source.tokens for source in sources]
    return CorpusFacts(
        name=recipe.name,
        description=recipe.description,
        card=recipe.corpus.card,
        lineage=fingerprint([[m.partition, m.hash] for m in manifests]),
        documents=whole.documents,
        bytes=sum(source.bytes for source in sources),
        tokens=None if None in tokens else sum(t or 0 for t in tokens),
        sources=tuple(sources),
        licenses=ranked(whole.licenses),
        varieties=ranked(whole.varieties),
        languages=ranked(whole.languages),
        years=tuple(sorted(whole.years.items())),
        hosts=ranked(_named(whole.hosts), recipe.corpus.card.top_hosts),
        hosts_known=None if whole.hosts_forgotten else len(_named(whole.hosts)),
        without_url=whole.hosts[""],
        benchmarks=_benchmarks(lines[0]),
        held_out_share=recipe.evals.held_out.share,
        stages=tuple(_stage(lines, stage) for stage in STAGES),
        settings=_settings(lake, lines[0]),
        files=tuple(_files(manifests)),
    )


def export_path(partition: str, shard: str) -> str:
    """Where a clean shard ``kept/NAME.parquet`` lies in an export."""
    source, snapshot = split_partition(partition)
    return f"data/{source}/{snapshot}-{shard.removeprefix('kept/')}"


def _source(recipe: Recipe, name: str, lines: Sequence[Lineage], counts: Counts) -> SourceFacts:
    tokens = None
    if all(TOKENS in line for line in lines):
        rows = [row for line in lines for row in line[TOKENS].counts["fertility"]]
        tokens = sum(row["tokens"] for row in rows)
    return SourceFacts(
        name=name,
        reader=recipe.sources[name].reader,
        snapshots=tuple(split_partition(line["clean"].partition or "")[1] for line in lines),
        documents=counts.documents,
        bytes=sum(ledger.bytes_kept for ledger in ledgers(lines, "clean")),
        tokens=tokens,
        licenses=ranked(counts.licenses),
        varieties=ranked(counts.varieties),
        years=tuple(sorted(counts.years.items())),
    )


def _stage(lines: Sequence[Lineage], stage: str) -> StageFacts:
    ledger = total(stage, "", "", ledgers(lines, stage))
    dropped = sorted(ledger.dropped.items(), key=lambda item: (-item[1].documents, item[0]))
    return StageFacts(
        name=stage,
        documents_in=ledger.documents_in,
        bytes_in=ledger.bytes_in,
        dropped=tuple((reason, tally.documents, tally.bytes) for reason, tally in dropped),
        edits=tuple(sorted(ledger.edits.items())),
    )


def _settings(lake: Lake, line: Lineage) -> dict[str, Any]:
    """Recipe sections of the stages after reading, as their manifests name them."""
    settings = {stage: line[stage].section for stage in STAGES[1:]}
    clusters = lake.manifest("clusters")
    return settings | ({"clusters": clusters.section} if clusters else {})


def _benchmarks(line: Lineage) -> tuple[str, ...]:
    shards = line["benchmarks"].select("items/") if "benchmarks" in line else []
    return tuple(shard.path.removeprefix("items/").removesuffix(".jsonl") for shard in shards)


def _files(manifests: Sequence[Manifest]) -> list[FileFacts]:
    return [
        FileFacts(
            export_path(manifest.partition or "", shard.path),
            split_partition(manifest.partition or "")[0],
            shard.bytes,
            shard.rows,
            shard.sha256,
        )
        for manifest in manifests
        for shard in manifest.select("kept/")
    ]


def _named(hosts: Counter[str]) -> Counter[str]:
    return Counter({name: count for name, count in hosts.items() if name})
