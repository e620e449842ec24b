"""Who survives: older captures of a URL go first, then every cluster keeps its best document.

The result depends on hashes, dates, qualities, names and places alone: neither on the order in
which edges are found, nor on how much memory there is, nor on which indexes were taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.components import (
    NONE_DEAD,
    Bits,
    Election,
    Groups,
    Part,
    group,
    join_column,
    new_forest,
)
from tagarela_dagster.corpus.dedup.index_build import CAPTURE, EXACT, NORMALIZED
from tagarela_dagster.corpus.dedup.order import LATEST, Members
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.corpus.dedup.signatures import band_name
from tagarela_dagster.corpus.kernels.components import Nodes, flatten
from tagarela_dagster.recipe.dedup import Dedup


@dataclass(frozen=True)
class Outcome:
    """Groups of documents of which one stays.

    Attributes:
        members: the documents of all groups, in the order of their nodes.
        groups: which group each is in.
        first: (groups,) place among the members of each group's survivor.
        exact: (members,) True for a text that an earlier member, in the order of survival, has
            too; all False for captures.
        is_captures: the groups are captures of one URL, of which the newest stays.
    """

    members: Members
    groups: Groups
    first: Nodes
    exact: NDArray[np.bool_]
    is_captures: bool = False

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """(members,) whether each survives."""
        kept = np.zeros(len(self.groups.members), np.bool_)
        kept[self.first] = True
        return kept


def forest(
    parts: Sequence[Part],
    nodes: int,
    section: Dedup,
    memory: int,
    scratch: Scratch,
    dead: Bits = NONE_DEAD,
) -> tuple[Nodes, Nodes]:
    """Clusters of all living documents, and within them the groups of equal texts.

    Returns:
        (nodes,) each: the least node that a document is in a cluster with, and the least that
        has the same text.
    """
    parent = new_forest(nodes, scratch)
    if section.enabled and section.exact:
        join_column(parts, EXACT, parent, memory, dead)
    flatten(parent)
    same = scratch.array(nodes, np.uint32)
    same[:] = parent
    for name in (NORMALIZED, *map(band_name, range(section.minhash.bands))):
        if section.enabled:
            join_column(parts, name, parent, memory, dead)
    flatten(parent)
    return parent, same


def older_captures(
    parts: Sequence[Part],
    nodes: int,
    sources: Sequence[str],
    section: Dedup,
    memory: int,
    scratch: Scratch,
) -> Outcome:
    """Captures of one URL by one source, of which the newest stays.

    Newest: by date, then by snapshot, then in the order of survival.
    """
    parent = new_forest(nodes if sources else 0, scratch)
    for source in sources:
        join_column([part for part in parts if part.source == source], CAPTURE, parent, memory)
    groups = group(parent, scratch)
    rest = (key for key in section.order if key not in ("newest", "oldest", "snapshot"))
    members = Members(parts, groups.members, ("newest", LATEST, *rest), scratch)
    election = Election(groups.of, groups.count, groups.count, scratch)
    for key in members.order_keys():
        if election.decided:
            break
        election.narrow(key)
    exact = np.zeros(len(groups.members), np.bool_)
    return Outcome(members, groups, election.first(scratch), exact, is_captures=True)


def bury(nodes: int, captures: Outcome) -> Bits:
    """One bit a node, set for an older capture: it takes no part in the clusters."""
    if not captures.groups.count:
        return NONE_DEAD
    dead = np.zeros((nodes + 7) // 8, np.uint8)
    gone = captures.groups.members[~captures.kept]
    np.bitwise_or.at(dead, gone >> np.uint32(3), np.uint8(1) << (gone & 7).astype(np.uint8))
    return dead


def resolve(
    parts: Sequence[Part],
    nodes: int,
    section: Dedup,
    memory: int,
    scratch: Scratch,
    dead: Bits = NONE_DEAD,
) -> Outcome:
    """Clusters of the living documents and their survivors."""
    parent, same = forest(parts, nodes, section, memory, scratch, dead)
    groups = group(parent, scratch, dead)
    members = Members(parts, groups.members, section.order, scratch)
    twins, texts = _twins(groups.members, same, scratch)
    clusters = Election(groups.of, groups.count, groups.count, scratch)
    copies = Election(twins, len(twins), texts, scratch)
    for key in members.order_keys():
        if clusters.decided and copies.decided:
            break
        clusters.narrow(key)
        copies.narrow(key)
    exact = copies.first(scratch)[twins] != np.arange(len(twins), dtype=np.uint32)
    return Outcome(members, groups, clusters.first(scratch), exact)


def _twins(members: Nodes, same: Nodes, scratch: Scratch) -> tuple[Nodes, int]:
    """(members,) place of the first member with the same text, and how many texts there are."""
    least = same[members]
    twins = scratch.array(len(members), np.uint32)
    twins[:] = np.arange(len(members), dtype=np.uint32)
    later = least != members
    twins[later] = np.searchsorted(members, least[later])
    return twins, len(members) - int(later.sum())
