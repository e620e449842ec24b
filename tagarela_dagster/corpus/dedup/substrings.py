"""Exact substrings: words that an earlier document has in the same order (arXiv 2107.06499).

A passage is ``min_words`` words in a row. Every passage that two documents share has a run of half
its words that the index of both has (winnowing), so only the passages around runs that several
documents have are hashed, with 128 bits, and sorted; each belongs to the first document by the
order of survival, and the others lose it. Passages that follow each other in both documents are
one maximal run, which is compared letter by letter before anything is cut. Nothing is cut by
collision; only a collision of all 128 bits, whose runs are counted, could hide a repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.cuts_index import MEASURED, read_texts
from tagarela_dagster.corpus.dedup.cuts_shared import HashLists, whole_groups
from tagarela_dagster.corpus.dedup.order import Members
from tagarela_dagster.corpus.dedup.scratch import Scratch
from tagarela_dagster.corpus.dedup.spool import Spool
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.components import Nodes
from tagarela_dagster.corpus.kernels.repeats_groups import (
    NOBODY,
    copied_runs,
    first_owners,
    order_equal,
)
from tagarela_dagster.corpus.kernels.repeats_hashes import Rules, passages
from tagarela_dagster.corpus.kernels.repeats_marks import copy_runs

MAX_PASSAGES = 2**32 - 1
_STRETCHES = 1 << 12
DOCUMENT, FIRST, WORDS, SOURCE, SOURCE_FIRST = range(5)
"""Columns of a run: document (a place among the members), first word, number of words; the earlier
document and its first word."""


class TooManyPassagesError(ValueError):
    """More repeated passages than a number of 32 bits can tell apart."""


@dataclass(frozen=True)
class Runs:
    """Runs of words that an earlier document has, to be compared with ``copied``.

    Attributes:
        table: (runs, 5), in the order of documents and words.
        places: (runs,) byte of ``copied`` at which the earlier document's words begin.
    """

    table: Offsets
    places: Offsets
    copied: Bytes

    def of(self, member: int) -> tuple[Offsets, Offsets, Offsets]:
        """First word, number of words and place of each run of a document."""
        first, last = np.searchsorted(self.table[:, DOCUMENT], (member, member + 1))
        rows = slice(first, last)
        return (
            np.ascontiguousarray(self.table[rows, FIRST]),
            np.ascontiguousarray(self.table[rows, WORDS]),
            self.places[rows],
        )


def member_texts(
    members: Members, place: int, chosen: NDArray[np.bool_]
) -> Iterator[tuple[int, Nodes, NDArray[np.int64], Bytes, Offsets]]:
    """Texts of the chosen members of a part.

    Yields:
        Number of the shard, rows in it, places of the members, their texts' bytes and offsets.
    """
    for number, first, last, rows in members.shards(place):
        wanted = first + np.flatnonzero(chosen[first:last])
        path = members.parts[place].shards[number].paths[MEASURED]
        rows = rows[wanted - first]
        for at, data, offsets in read_texts(path, rows):
            texts = slice(at, at + len(offsets) - 1)
            yield number, rows[texts], wanted[texts], data, offsets


def find_runs(
    members: Members, ranks: Nodes, lists: HashLists, rules: Rules, memory: int, scratch: Scratch
) -> Runs:
    """All maximal runs of shared passages.

    Args:
        ranks: (members,) place in the order of survival.
        lists: hashes of runs of half a passage that several documents have.

    Raises:
        TooManyPassagesError: see MAX_PASSAGES.
    """
    spool = Spool(scratch.subfolder(), "passages", True, memory // 2)
    starts: list[Offsets] = [np.empty((0, 3), np.int64)]
    chosen = np.zeros(len(members.nodes), np.bool_)
    chosen[np.searchsorted(members.nodes, lists.nodes)] = True
    for place in range(len(members.parts)):
        for _, _, here, data, offsets in member_texts(members, place, chosen):
            room = int(offsets[-1] - offsets[0]) // 2 + len(here)
            keys, other = np.empty(room, np.uint64), np.empty(room, np.uint64)
            stretches = np.empty((room, 3), np.int64)
            bounds = lists.bounds(members.nodes[here])
            found, parts = passages(
                data, offsets, rules, lists.hashes, bounds, keys, other, stretches
            )
            if spool.entries + found > MAX_PASSAGES:
                raise TooManyPassagesError(
                    f"more than {MAX_PASSAGES} passages of {rules.gram + rules.window - 1} words "
                    "are candidates: raise dedup.repeats.substrings.min_words, or deduplicate "
                    "the largest sources in recipes of their own first"
                )
            ordinals = np.arange(spool.entries, spool.entries + found, dtype=np.uint32)
            spool.add(keys[:found].copy(), other[:found].copy(), ordinals)
            stretches = stretches[:parts].copy()
            stretches[:, 0] = here[stretches[:, 0]]
            starts.append(stretches)
            if 2 * spool.held > memory:
                spool.spill()
    stretches = np.concatenate(starts)
    firsts = np.append(0, np.cumsum(stretches[:, 2]))
    documents = stretches[:, 0].astype(np.uint32)
    words = np.ascontiguousarray(stretches[:, 1])
    owner = _owners(spool, firsts, ranks[documents], scratch)
    length = rules.gram + rules.window - 1
    nothing = np.empty((0, 5), np.int64)
    count = copied_runs(owner, firsts, documents, words, length, nothing)
    table = scratch.array(count * 5, np.int64).reshape(count, 5)
    copied_runs(owner, firsts, documents, words, length, table)
    return _copy(members, table, rules, scratch)


def _owners(spool: Spool, firsts: Offsets, ranks: Nodes, scratch: Scratch) -> Nodes:
    """(passages,) the first document's equal passage, NOBODY where the document is the first.

    Args:
        firsts: (stretches + 1,) first passage of each stretch.
        ranks: (stretches,) of its document.
    """
    owner = scratch.array(spool.entries, np.uint32)
    owner[:] = NOBODY
    rank_of = scratch.array(spool.entries, np.uint32)
    for at in range(0, len(ranks), _STRETCHES):
        part = slice(at, min(len(ranks), at + _STRETCHES))
        counts = np.diff(firsts[at : part.stop + 1])
        rank_of[firsts[at] : firsts[part.stop]] = np.repeat(ranks[part], counts)
    for keys, other, ordinals in whole_groups(spool.drain()):
        order_equal(keys, other, ordinals)
        places = rank_of[ordinals]
        rows = np.empty(len(keys), np.uint32)
        first_owners(keys, other, places, rows)
        loses = places != places[rows]
        owner[ordinals[loses]] = ordinals[rows[loses]]
    return owner


def _copy(members: Members, table: Offsets, rules: Rules, scratch: Scratch) -> Runs:
    """Copy the earlier documents' words beside each other, to be compared with."""
    order = np.lexsort((table[:, SOURCE_FIRST], table[:, SOURCE]))
    sources = table[order, SOURCE]
    chosen = np.zeros(len(members.nodes), np.bool_)
    chosen[sources] = True
    places = scratch.array(len(table), np.int64)
    path = scratch.path()
    with path.open("wb") as file:
        for place in range(len(members.parts)):
            for _, _, here, data, offsets in member_texts(members, place, chosen):
                for text, member in enumerate(here):
                    first, last = np.searchsorted(sources, (member, member + 1))
                    runs = order[first:last]
                    start, end = int(offsets[text]), int(offsets[text + 1])
                    out = np.empty(end - start + len(runs), np.uint8)
                    at = np.empty(len(runs), np.int64)
                    size = copy_runs(
                        data,
                        start,
                        end,
                        rules.fold,
                        np.ascontiguousarray(table[runs, SOURCE_FIRST]),
                        np.ascontiguousarray(table[runs, WORDS]),
                        out,
                        at,
                    )
                    places[runs] = file.tell() + at
                    file.write(out[:size].tobytes())
        total = file.tell()
    copied = np.memmap(path, np.uint8, "r").view(np.ndarray) if total else np.zeros(0, np.uint8)
    return Runs(table, places, copied)
