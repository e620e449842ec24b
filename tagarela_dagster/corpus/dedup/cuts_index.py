"""Index of a partition's lines and runs of words, kept from one run to the next.

It has the format of the indexes of signatures (``dedup/index.py``), with the tables ``line`` and
``run``, over the documents that ``filtered`` keeps: what ``clusters`` drops of them can change with
every snapshot, and is left out when the tables are read.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.index import Index, Table, open_index, write_index
from tagarela_dagster.corpus.dedup.index_build import kept_rows
from tagarela_dagster.corpus.dedup.spool import Spool
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, text_buffers
from tagarela_dagster.corpus.kernels.decon_words import TABLE_SIZE, Fold, fold_table
from tagarela_dagster.corpus.kernels.repeats_hashes import DIGIT, Rules, index_texts
from tagarela_dagster.provenance.alignment import AlignmentError, ShardInput
from tagarela_dagster.provenance.fingerprint import fingerprint
from tagarela_dagster.recipe.dedup import Repeats

FORMAT = 1
LINE, RUN = "line", "run"
SIGNED, FILTERED, MEASURED, DEDUPED = range(4)
"""Files of a shard, in order: its signatures (ids and keys of the order), the decisions of
``filtered``, the text, the decisions of ``deduped``."""


def search_rules(section: Repeats) -> Rules:
    """What the kernels look for: runs of half a substring's words lead to it."""
    letters = section.lines.min_letters if section.lines.enabled else 0
    words = section.substrings.min_words if section.substrings.enabled else 0
    gram = words // 2
    return Rules(letters, gram, words - gram + 1, fold_table(), _line_fold())


@cache
def _line_fold() -> Fold:
    table = fold_table().copy()
    digits = [code for code in range(TABLE_SIZE) if chr(code).isdecimal()]
    table[digits] = DIGIT
    return table


def repeats_identity(shards: Sequence[ShardInput], section: Repeats) -> str:
    """What an index depends on: texts, the decisions of ``filtered``, and what is hashed."""
    rules = search_rules(section)
    inputs = [[shard.name, shard.hashes[FILTERED], shard.hashes[MEASURED]] for shard in shards]
    return fingerprint(["repeats", FORMAT, rules.letters, rules.gram, rules.window, inputs])


def build_repeats_index(
    path: Path,
    identity: str,
    shards: Sequence[ShardInput],
    rules: Rules,
    memory: int,
    scratch: Path,
) -> Index:
    """Write the index of a partition.

    Args:
        shards: in the order of their names.
        memory: bytes that the hashes may take; what is more is sorted on disk.
        scratch: folder for that; it is emptied first and removed at the end.

    Raises:
        AlignmentError: decisions do not lie beside their texts.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        lines = Spool(scratch, LINE, True, memory // 2)
        runs = Spool(scratch, RUN, False, memory // 2)
        described: list[tuple[str, int, int]] = []
        kept = [np.empty(0, np.uint32)]
        number = 0
        for shard in shards:
            total = pq.read_metadata(shard.paths[MEASURED]).num_rows
            rows = kept_rows(shard, total)
            for first, data, offsets in read_texts(shard.paths[MEASURED], rows):
                _add(lines, runs, data, offsets, rules, number + first)
                if 2 * (lines.held + runs.held) > memory:
                    lines.spill()
                    runs.spill()
            described.append((shard.name, total, len(rows)))
            kept.append(rows)
            number += len(rows)
        spools = [lines] * (rules.letters > 0) + [runs] * (rules.gram > 0)
        tables = [(Table(s.name, s.entries, s.wide), s.drain()) for s in spools]
        write_index(path, identity, described, np.concatenate(kept), tables)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return open_index(path, identity, trusted=True)


def read_texts(path: Path, rows: NDArray[np.uint32]) -> Iterator[tuple[int, Bytes, Offsets]]:
    """Texts of some rows of a shard (ascending), row group by row group.

    Yields:
        Place in ``rows`` of the first text, bytes, and (texts + 1,) offsets.
    """
    with pq.ParquetFile(path) as file:
        row = 0
        for group in range(file.num_row_groups):
            end = row + file.metadata.row_group(group).num_rows
            first, last = np.searchsorted(rows, (row, end))
            if first < last:
                table = file.read_row_group(group, columns=["text"], use_threads=False)
                if last - first < end - row:
                    table = table.take(pa.array(rows[first:last] - np.uint32(row)))
                yield int(first), *text_buffers(table.column("text"))
            row = end


def _add(
    lines: Spool, runs: Spool, data: Bytes, offsets: Offsets, rules: Rules, first: int
) -> None:
    texts, size = len(offsets) - 1, int(offsets[-1] - offsets[0])
    room = size // (rules.letters + 1) + texts if rules.letters else 0
    line_keys, line_other = np.empty(room, np.uint64), np.empty(room, np.uint64)
    line_rows = np.empty(room, np.uint32)
    room = size // 2 + texts if rules.gram else 0
    run_keys, run_rows = np.empty(room, np.uint64), np.empty(room, np.uint32)
    found, kept = index_texts(
        data, offsets, rules, line_keys, line_other, line_rows, run_keys, run_rows
    )
    # Copies, so that the room is given back.
    place = np.uint32(first)
    if found:
        lines.add(line_keys[:found].copy(), line_other[:found].copy(), line_rows[:found] + place)
    if kept:
        runs.add(run_keys[:kept].copy(), np.empty(0, np.uint64), run_rows[:kept] + place)


def dropped_later(shards: Sequence[ShardInput], index: Index) -> NDArray[np.bool_]:
    """(documents,) whether ``deduped`` drops a document of the index.

    Raises:
        AlignmentError: its decisions do not lie beside the texts.
    """
    rows = index.rows()
    gone = np.zeros(len(rows), np.bool_)
    first = 0
    for shard, (_, total, kept) in zip(shards, index.shards, strict=True):
        reason = pq.read_table(shard.paths[DEDUPED], columns=["reason"]).column("reason")
        if len(reason) != total:
            raise AlignmentError(
                f"{shard.paths[DEDUPED]} decides on {len(reason)} documents, "
                f"{shard.paths[MEASURED]} has {total}: materialize deduped again"
            )
        dropped = reason.is_valid().combine_chunks().to_numpy(zero_copy_only=False)
        gone[first : first + kept] = dropped[rows[first : first + kept]]
        first += kept
    return gone
