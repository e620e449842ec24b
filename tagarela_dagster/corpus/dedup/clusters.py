"""Clusters of duplicates over all partitions, and what each partition must drop.

Only documents that ``filtered`` keeps take part. The files depend on signatures, decisions and
the recipe alone: any order of arrival, any amount of memory and any indexes taken over from an
earlier run give the same bytes. docs/formats.md describes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tagarela_dagster.corpus.dedup.components import number
from tagarela_dagster.corpus.dedup.keep import write_keep_list
from tagarela_dagster.corpus.dedup.members import survivor_names, write_members
from tagarela_dagster.corpus.dedup.resolve import Outcome, bury, older_captures, resolve
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.corpus.dedup.state import IndexStore, Told
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Dedup

MEMORY_MEGABYTES = 1_024
LARGEST = 10
"""Clusters named in the counts."""


def cluster_partitions(
    writer: PartitionWriter,
    shards: Mapping[str, Sequence[ShardInput]],
    section: Dedup,
    ranks: Mapping[str, int],
    *,
    readers: Mapping[str, str] | None = None,
    memory_megabytes: float = MEMORY_MEGABYTES,
    previous: Path | None = None,
    told: Told | None = None,
) -> Manifest:
    """Write ``clusters.parquet``, ``keep/PARTITION.parquet`` where something is dropped, and the
    indexes ``state/PARTITION.index``.

    Args:
        shards: partition ("source@snapshot") -> its signature shards, each with the decision
            shard beside it (none: every document is kept).
        ranks: source -> rank.
        readers: source -> reader, for ``section.newest_capture``.
        memory_megabytes: what the tables of hashes may take (10^6 bytes); more goes to disk.
        previous: partition folder of the publication whose indexes are used (the writer's own).
        told: called with each partition and what became of its index.

    Raises:
        SignatureError: a partition was signed with other settings.
        AlignmentError: decisions do not lie beside their signatures.
        TooManyDocumentsError: more than 2**32 documents are kept.
    """
    memory = int(memory_megabytes * 1e6)
    store = IndexStore(writer, section, memory, previous, told)
    named = []
    sources = []
    for name in sorted(shards):
        source = name.partition("@")[0]
        captures = section.keeps_newest(source, (readers or {}).get(source))
        sources += [source] * (captures and source not in sources)
        ordered = sorted(shards[name], key=lambda shard: shard.name)
        named.append((name, ranks[source], ordered, store.get(name, ordered, captures)))
    parts, nodes = number(named)
    with Scratch(writer.staging / "scratch") as scratch:
        captures_of = older_captures(parts, nodes, sources, section, memory, scratch)
        dead = bury(nodes, captures_of)
        clusters = resolve(parts, nodes, section, memory, scratch, dead)
        names = survivor_names(clusters, scratch)
        written = [write_members(writer.data, clusters, names)]
        captured = survivor_names(captures_of, scratch)
        for place in range(len(parts)):
            drops = [(clusters, names), (captures_of, captured)]
            written += write_keep_list(writer.data, place, parts[place], drops)
        counts = count(nodes, clusters, captures_of, names)
    return writer.publish([*written, *store.shards], counts)


def count(nodes: int, clusters: Outcome, captures: Outcome, names: Any) -> dict[str, Any]:
    """Figures of a clustering."""
    sizes = np.bincount(clusters.groups.of, minlength=clusters.groups.count)
    order = np.lexsort((clusters.first, -sizes))[:LARGEST]
    dropped = ~clusters.kept
    exact = int((dropped & clusters.exact).sum())
    return {
        "documents": nodes,
        "older_captures": len(captures.groups.members) - captures.groups.count,
        "clusters": clusters.groups.count,
        "exact_duplicates": exact,
        "near_duplicates": int(dropped.sum()) - exact,
        "largest_cluster": int(sizes.max(initial=0)),
        "largest": [{"cluster": names[int(g)].as_py(), "size": int(sizes[g])} for g in order],
    }
