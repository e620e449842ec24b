"""The kernel of ``clean``: documents that hold a benchmark item are dropped, masked or reported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tagarela_dagster.corpus.decontamination.index import Found, ItemIndex, Match
from tagarela_dagster.corpus.decontamination.items import read_benchmark_items
from tagarela_dagster.corpus.decontamination.mask import cut_out
from tagarela_dagster.corpus.dedup.normalize import normalize
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.decon_words import cut_words, fold_table
from tagarela_dagster.corpus.stage import Kernel, Outcome
from tagarela_dagster.recipe.decontamination import Decontamination

REASON_PREFIX = "benchmark_"
EDIT = "decontaminated"
META_KEY = "contamination"
"""Field of a document's ``meta``: a list of its matches. It holds no text of an item, for a masked
document is published with it."""
MAX_ROUNDS = 4
"""Searches of a document under ``mask``: where a cut brings two halves of an item together, it is
cut again; what still matches then is dropped."""


@dataclass(frozen=True)
class _Verdict:
    """What becomes of a document with matches."""

    matches: tuple[Match, ...]
    text: bytes
    reason: str | None
    action: str


def make_kernel(item_files: Sequence[Path], section: Decontamination) -> Kernel:
    """Kernel that takes benchmark items out of documents.

    A dropped document has the reason ``benchmark_TASK`` of the first match that is acted on. Every
    document with a match carries ``meta.contamination``; ``report.contamination_rows`` reads it.

    Args:
        item_files: ``items/TASK.jsonl`` of ``benchmarks``.

    Raises:
        BenchmarkError: a file is malformed; the message names file and line.
    """
    files = tuple(item_files) if section.enabled else ()
    index = _index(files, tuple(_state(path) for path in files), section)

    def kernel(batch: pa.RecordBatch) -> Outcome:
        texts = batch.column("text")
        verdicts = {
            row: _judge(texts[row].as_py().encode(), found, index, section)
            for row, found in index.search(texts).items()
        }
        if not verdicts:
            return Outcome(batch, pa.nulls(batch.num_rows, pa.string()), {})
        reasons = [
            None if row not in verdicts else verdicts[row].reason for row in range(len(texts))
        ]
        metas = {
            row: _with_matches(batch.column("meta")[row].as_py(), verdict)
            for row, verdict in verdicts.items()
        }
        changed = {row: v.text.decode() for row, v in verdicts.items() if v.reason is None}
        removed = sum(
            len(texts[row].as_py().encode()) - len(text.encode()) for row, text in changed.items()
        )
        documents = _replace(_replace(batch, "meta", metas), "text", changed)
        return Outcome(
            documents, pa.array(reasons, pa.string()), {EDIT: removed} if removed else {}
        )

    return kernel


@lru_cache(maxsize=1)
def _index(
    files: tuple[Path, ...], states: tuple[object, ...], section: Decontamination
) -> ItemIndex:
    """Index of files as they are now: a kernel is made for every shard, the index only once."""
    return ItemIndex(read_benchmark_items(files), section)


def _state(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def reason(task: str) -> str:
    """Drop reason of a task."""
    return REASON_PREFIX + "_".join(re.findall("[a-z0-9]+", normalize(task, numbers=False)))


def _judge(text: bytes, found: Found, index: ItemIndex, section: Decontamination) -> _Verdict:
    first = _first_copy(found, section)
    if section.action == "report" or first is None:
        return _Verdict(found.matches, text, None, "report")
    dropped = _Verdict(found.matches, text, reason(first.task), "drop")
    if section.action == "drop":
        return dropped
    left = text
    spans = found.spans
    for _ in range(MAX_ROUNDS):
        left = cut_out(left, spans)
        again = index.search(pa.array([left.decode()], pa.large_string()))
        if not again or _first_copy(again[0], section) is None:
            enough = _count_words(left) >= max(1, section.min_words)
            return _Verdict(found.matches, left, None, "mask") if enough else dropped
        spans = again[0].spans
    return dropped


def _first_copy(found: Found, section: Decontamination) -> Match | None:
    """The first match that covers enough of its item to be acted on."""
    return next((m for m in found.matches if m.covered >= section.min_covered), None)


def _count_words(text: bytes) -> int:
    data, offsets = text_buffers(pa.array([text], pa.large_binary()))
    room = len(text) // 2 + 1
    hashes, starts = np.empty(room, np.uint64), np.empty(room, np.int64)
    return cut_words(data, offsets[0], offsets[1], fold_table(), hashes, starts)


def _with_matches(meta: str, verdict: _Verdict) -> str:
    """``meta`` with the matches, and what was done about them."""
    listed = [
        {
            "task": m.task,
            "item": m.item,
            "words": m.words,
            "covered": m.covered,
            "begin": m.begin,
            "end": m.end,
            "action": verdict.action,
        }
        for m in verdict.matches
    ]
    return json.dumps({**json.loads(meta), META_KEY: listed}, ensure_ascii=False, sort_keys=True)


def _replace(batch: pa.RecordBatch, name: str, values: dict[int, str]) -> pa.RecordBatch:
    """The batch with some rows of a string column replaced."""
    if not values:
        return batch
    column = batch.column(name)
    rows: Iterable[int] = sorted(values)
    mask = np.zeros(len(column), np.bool_)
    mask[list(rows)] = True
    new = pa.array([values[row] for row in rows], column.type)
    place = batch.schema.get_field_index(name)
    field = DOCUMENT_SCHEMA.field(name)
    return batch.set_column(place, field, pc.replace_with_mask(column, pa.array(mask), new))
