"""``cuts/PARTITION.parquet``: which bytes each document of a partition loses, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.cuts_shared import HashLists
from tagarela_dagster.corpus.dedup.order import Members
from tagarela_dagster.corpus.dedup.substrings import DOCUMENT, Runs, member_texts
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.repeats_cuts import spans
from tagarela_dagster.corpus.kernels.repeats_hashes import Rules
from tagarela_dagster.corpus.kernels.repeats_marks import LINE, SUBSTRING, mark_lines, mark_runs
from tagarela_dagster.corpus.kernels.repeats_tidy import tidy
from tagarela_dagster.corpus.shards import write_row_groups
from tagarela_dagster.provenance.manifest import Shard

WHOLE = 3
KINDS = {LINE: "line", SUBSTRING: "substring", WHOLE: "document"}
ROW_GROUP = 65_536

CUT_SCHEMA = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
    ]
)
"""Stretches of UTF-8 bytes of measured texts, apart from each other, in the order of shards, rows
and bytes. A stretch of the kind ``document`` is the whole text: the document is dropped."""


class Judge:
    """Decides what every document loses.

    Args:
        lines: hashes of the lines that each document loses.
        runs: runs of words that an earlier document has.
        owns: (members,) whether others lose a text because this document has it.
        min_words_left: a document with fewer is dropped, unless it owns something.

    Attributes:
        counts: documents and bytes of each kind of cut so far, and collisions.
    """

    def __init__(
        self,
        members: Members,
        rules: Rules,
        lines: HashLists,
        runs: Runs,
        owns: NDArray[np.bool_],
        min_words_left: int,
    ) -> None:
        self.members = members
        self.rules = rules
        self.lines = lines
        self.runs = runs
        self.owns = owns
        self.min_words_left = min_words_left
        self.counts = {
            f"{kind}_{of}": 0 for kind in KINDS.values() for of in ("documents", "bytes")
        }
        self.counts["collisions"] = 0
        self._chosen = np.zeros(len(members.nodes), np.bool_)
        self._chosen[np.searchsorted(members.nodes, lines.nodes)] = True
        self._chosen[runs.table[:, DOCUMENT]] = True

    def write(self, data: Path, place: int) -> list[Shard]:
        """Write the cuts of part ``place`` below ``data``, unless it has none."""
        part = self.members.parts[place]
        groups = self._row_groups(place)
        return write_row_groups(data, f"cuts/{part.name}.parquet", CUT_SCHEMA, groups)

    def _row_groups(self, place: int) -> Iterator[pa.Table]:
        """Cuts of whole documents, ROW_GROUP or a little more at a time."""
        part = self.members.parts[place]
        tables: list[pa.Table] = []
        for number, rows, here, data, offsets in member_texts(self.members, place, self._chosen):
            bounds = self.lines.bounds(self.members.nodes[here])
            found = [
                self._judge(
                    data,
                    int(offsets[text]),
                    int(offsets[text + 1]),
                    int(member),
                    self.lines.hashes[bounds[text] : bounds[text + 1]],
                )
                for text, member in enumerate(here)
            ]
            of = np.repeat(np.arange(len(here)), [len(cuts) for cuts in found])
            cuts = np.concatenate(found)
            ids = self.members.ids.take(pa.array(here[of])).cast(pa.string())
            columns = [
                pa.array([part.index.shards[number][0]] * len(of), pa.string()),
                pa.array(rows[of].astype(np.int32)),
                ids,
                pa.array(cuts[:, 0]),
                pa.array(cuts[:, 1]),
                pa.array([KINDS[kind] for kind in cuts[:, 2].tolist()], pa.string()),
            ]
            tables.append(pa.Table.from_arrays(columns, schema=CUT_SCHEMA))
            if sum(map(len, tables)) >= ROW_GROUP:
                yield pa.concat_tables(tables).combine_chunks()
                tables = []
        if sum(map(len, tables)):
            yield pa.concat_tables(tables).combine_chunks()

    def _judge(
        self, data: Bytes, start: int, end: int, member: int, lines: NDArray[np.uint64]
    ) -> Offsets:
        """(cuts, 3) first byte, byte after the last and kind of what a document loses."""
        fate = np.zeros(end - start, np.uint8)
        run = self.runs.of(member)
        if len(run[0]):
            fold, copied = self.rules.fold, self.runs.copied
            self.counts["collisions"] += mark_runs(data, start, end, fold, *run, copied, fate)
        if len(lines):
            mark_lines(data, start, end, self.rules, lines, fate)
        left = tidy(data, start, end, self.rules.fold, fate)
        found = np.empty((spans(fate, np.empty((0, 3), np.int64)), 3), np.int64)
        spans(fate, found)
        if len(found) and left < self.min_words_left and not self.owns[member]:
            found = np.array([[0, end - start, WHOLE]], np.int64)
        for kind, name in KINDS.items():
            of_kind = found[found[:, 2] == kind]
            self.counts[f"{name}_documents"] += len(of_kind) > 0
            self.counts[f"{name}_bytes"] += int((of_kind[:, 1] - of_kind[:, 0]).sum())
        return found
