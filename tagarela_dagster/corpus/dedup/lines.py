"""Lines that stand in too many documents (CCNet, arXiv 1911.00359; RedPajama).

Counted exactly, from sorted hashes: 128 bits say that two lines are equal, so among n distinct
lines two are taken for one with probability n**2 / 2**129 (10**12 lines: 10**-15). Within a
document, a line that is cut is found again by the first 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.components import Part
from tagarela_dagster.corpus.dedup.cuts_index import LINE
from tagarela_dagster.corpus.dedup.cuts_shared import HashLists, shared_entries
from tagarela_dagster.corpus.dedup.index import Entries
from tagarela_dagster.corpus.kernels.components import Nodes
from tagarela_dagster.corpus.kernels.repeats_groups import first_owners
from tagarela_dagster.recipe.dedup import RepeatedLines


def repeated_lines(
    parts: Sequence[Part], section: RepeatedLines, memory: int, dead: NDArray[np.bool_]
) -> Iterator[Entries]:
    """Hashes and documents of all lines that stand in more than ``max_documents``.

    With the scope ``source`` one source comes after the other.
    """
    if not section.enabled:
        return
    sources = sorted({part.source for part in parts}) if section.scope == "source" else [None]
    for source in sources:
        of = [part for part in parts if source in (None, part.source)]
        yield from shared_entries(of, LINE, section.max_documents + 1, memory, dead)


def lines_to_cut(
    entries: Iterator[Entries],
    section: RepeatedLines,
    members: Nodes,
    ranks: Nodes,
    lists: HashLists,
    owns: NDArray[np.bool_],
) -> None:
    """Enter in ``lists`` which documents lose which lines.

    Args:
        entries: of ``repeated_lines``.
        members: (members,) nodes that take part.
        ranks: (members,) place of each in the order of survival.
        owns: (members,) set for those that keep a line which others lose.
    """
    for keys, other, nodes in entries:
        if not section.keep_first:
            lists.add(nodes, keys)
            continue
        of = np.searchsorted(members, nodes)
        places = ranks[of]
        owners = np.empty(len(nodes), np.uint32)
        first_owners(keys, other, places, owners)
        loses = places != places[owners]
        lists.add(nodes[loses], keys[loses])
        owns[of[~loses]] = True
