"""``repeats``: the lines and runs of words that each document loses, over all partitions.

Only documents that ``deduped`` keeps take part. Nothing is cut here: ``cuts/PARTITION.parquet``
says what ``clean`` cuts. The files depend on texts, decisions and the recipe alone: any order of
arrival, any amount of memory and any indexes taken over from an earlier run give the same bytes.
docs/formats.md describes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.components import Part, number
from tagarela_dagster.corpus.dedup.cuts_index import (
    RUN,
    build_repeats_index,
    dropped_later,
    repeats_identity,
    search_rules,
)
from tagarela_dagster.corpus.dedup.cuts_shared import HashLists, shared_entries, survival_ranks
from tagarela_dagster.corpus.dedup.cuts_write import Judge
from tagarela_dagster.corpus.dedup.index import Index
from tagarela_dagster.corpus.dedup.lines import lines_to_cut, repeated_lines
from tagarela_dagster.corpus.dedup.order import Members
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.corpus.dedup.state import IndexStore, Told
from tagarela_dagster.corpus.dedup.substrings import SOURCE, find_runs
from tagarela_dagster.corpus.kernels.repeats_hashes import Rules
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Dedup

MEMORY_MEGABYTES = 1_024


def find_repeats(
    writer: PartitionWriter,
    shards: Mapping[str, Sequence[ShardInput]],
    section: Dedup,
    ranks: Mapping[str, int],
    *,
    memory_megabytes: float = MEMORY_MEGABYTES,
    previous: Path | None = None,
    told: Told | None = None,
) -> Manifest:
    """Write ``cuts/PARTITION.parquet`` where something is cut, and ``state/PARTITION.index``.

    Args:
        shards: partition ("source@snapshot") -> its shards, each with the files of ``signatures``,
            ``filtered``, ``measured`` and ``deduped``, in this order.
        ranks: source -> rank.
        memory_megabytes: what the tables of hashes may take (10^6 bytes); more goes to disk.
        previous: partition folder of the publication whose indexes are used (the writer's own).
        told: called with each partition and what became of its index.

    Raises:
        AlignmentError: decisions do not lie beside their texts.
        TooManyDocumentsError: more than 2**32 documents pass the filters.
        TooManyPassagesError: more than 2**32 passages are repeated.
    """
    memory = int(memory_megabytes * 1e6)
    rules = search_rules(section.repeats)
    store = IndexStore(writer, section, memory, previous, told)
    named = []
    for name in sorted(shards):
        ordered = sorted(shards[name], key=lambda shard: shard.name)
        identity = repeats_identity(ordered, section.repeats)
        build = partial(_build, identity=identity, shards=ordered, rules=rules, memory=memory)
        index = store.obtain(name, identity, build)
        named.append((name, ranks[name.partition("@")[0]], ordered, index))
    parts, nodes = number(named)
    with Scratch(writer.staging / "scratch") as scratch:
        dead = scratch.array(nodes, np.bool_)
        for part in parts:
            gone = dropped_later(part.shards, part.index)
            dead[part.start : part.start + len(gone)] = gone
        cuts = _search(parts, dead, section, rules, memory, scratch)
        written = [shard for at in range(len(parts)) for shard in cuts.write(writer.data, at)]
        counts = {"documents": nodes - int(np.count_nonzero(dead)), **cuts.counts}
    return writer.publish([*written, *store.shards], counts)


def _build(path: Path, folder: Path, **what: Any) -> Index:
    return build_repeats_index(path, scratch=folder, **what)


def _search(
    parts: Sequence[Part],
    dead: NDArray[np.bool_],
    section: Dedup,
    rules: Rules,
    memory: int,
    scratch: Scratch,
) -> Judge:
    """Lines and runs of words that living documents lose."""
    lines = section.repeats.lines
    takes_part = scratch.array(len(dead), np.bool_)
    runs_of, lines_of = HashLists(scratch, memory // 2), HashLists(scratch, memory // 2)
    for keys, _, nodes in shared_entries(parts, RUN, 2, memory, dead):
        once = np.append(True, (keys[1:] != keys[:-1]) | (nodes[1:] != nodes[:-1]))
        runs_of.add(nodes[once], keys[once])
        takes_part[nodes] = True
    runs_of.close()
    for _, _, nodes in repeated_lines(parts, lines, memory, dead):
        takes_part[nodes] = True
    taking_part = np.flatnonzero(takes_part).astype(np.uint32)
    members = Members(parts, taking_part, section.order, scratch)
    ranks = survival_ranks(members, scratch)
    owns = scratch.array(len(ranks), np.bool_)
    lines_to_cut(
        repeated_lines(parts, lines, memory, dead), lines, members.nodes, ranks, lines_of, owns
    )
    lines_of.close()
    runs = find_runs(members, ranks, runs_of, rules, memory, scratch)
    owns[runs.table[:, SOURCE]] = True
    return Judge(members, rules, lines_of, runs, owns, section.repeats.min_words_left)
