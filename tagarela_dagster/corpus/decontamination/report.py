"""Report of contamination: which documents hold which benchmark item, and how much of it.

``clean`` writes the rows of each shard (``contamination/NNNNN.parquet``); the rows of all
partitions merge into one report: ``items.parquet`` has a row for each item that was found
anywhere, ``report.json`` the counts of each task. evals reads both by their format
(docs/formats.md) and puts the shares beside the scores.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagarela_dagster.corpus.decontamination.index import ItemIndex
from tagarela_dagster.corpus.decontamination.items import read_benchmark_items
from tagarela_dagster.corpus.decontamination.kernel import META_KEY
from tagarela_dagster.corpus.shards import read_batches
from tagarela_dagster.corpus.stage import Outcome
from tagarela_dagster.provenance.files import atomic_path, atomic_write
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.decontamination import Decontamination

ITEMS_NAME, REPORT_NAME = "items.parquet", "report.json"
EXCERPT_BYTES = 300
"""Of a matching run, shown in the report."""

CONTAMINATION_SCHEMA = pa.schema(
    [
        pa.field("document", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("snapshot", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("task", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("words", pa.int32(), nullable=False),
        pa.field("covered", pa.float32(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("excerpt", pa.string(), nullable=False),
    ]
)
"""A row for each document and item that match. ``words``: of the longest common run; ``covered``:
share of the item's words in common runs; ``action``: drop, mask or report."""

ITEM_SCHEMA = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False),
        pa.field("words", pa.int32(), nullable=False),
        pa.field("covered", pa.float32(), nullable=False),
        pa.field("left", pa.int64(), nullable=False),
        pa.field("sources", pa.list_(pa.string()), nullable=False),
        pa.field("document", pa.string(), nullable=False),
        pa.field("excerpt", pa.string(), nullable=False),
    ]
)
"""A row for each item found. ``documents`` that match, of which ``left`` stay as they are;
``document`` has the longest run, which ``excerpt`` begins."""


def contamination_rows(batch: pa.RecordBatch, outcome: Outcome) -> pa.RecordBatch:
    """Rows of CONTAMINATION_SCHEMA for a batch that the kernel has judged.

    Args:
        batch: as the kernel was given it (its texts hold the runs).
    """
    key = f'"{META_KEY}": [{{"action"'
    places = pc.indices_nonzero(
        pc.match_substring(outcome.documents.column("meta"), key)
    ).to_pylist()
    rows: list[dict[str, Any]] = []
    for place in places:
        text = batch.column("text")[place].as_py().encode()
        named = {
            name: batch.column(column)[place].as_py()
            for name, column in (
                ("document", "id"),
                ("source", "source"),
                ("snapshot", "snapshot"),
                ("url", "url"),
            )
        }
        for match in json.loads(outcome.documents.column("meta")[place].as_py())[META_KEY]:
            run = text[match["begin"] : min(match["end"], match["begin"] + EXCERPT_BYTES)]
            rows.append(
                named
                | {name: match[name] for name in ("task", "item", "words", "covered", "action")}
                | {"excerpt": run.decode(errors="ignore")}
            )
    return pa.RecordBatch.from_pylist(rows, CONTAMINATION_SCHEMA)


def contamination_report(shards: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Rows of ``contamination/NNNNN.parquet`` as dictionaries, in their order."""
    for path in shards:
        for batch in read_batches(path):
            yield from batch.to_pylist()


@dataclass
class ItemFindings:
    """What was found of one item."""

    documents: int = 0
    left: int = 0
    words: int = 0
    covered: float = 0.0
    sources: set[str] = field(default_factory=set)
    document: str = ""
    excerpt: str = ""

    def add(self, row: dict[str, Any]) -> None:
        """Take in a row of CONTAMINATION_SCHEMA."""
        self.documents += 1
        self.left += row["action"] == "report"
        self.covered = max(self.covered, row["covered"])
        self.sources.add(row["source"])
        # The order of the shards does not decide which example is shown.
        if (-row["words"], row["document"]) < (-self.words, self.document) or not self.document:
            self.words, self.document, self.excerpt = row["words"], row["document"], row["excerpt"]


@dataclass(frozen=True)
class ContaminationReport:
    """All partitions together.

    Attributes:
        items: (task, item) -> findings, for items found in any document.
        tasks: task -> counts, as in ``report.json``.
    """

    items: dict[tuple[str, str], ItemFindings]
    tasks: dict[str, dict[str, Any]]


def merge_reports(
    shards: Iterable[Path], item_files: Sequence[Path], section: Decontamination
) -> ContaminationReport:
    """Merge the rows of all partitions; memory by items.

    ``tasks`` has of each task: ``items``; ``searched`` (those with enough words);
    ``contaminated`` (found in any document) and its ``share`` of those searched, before removal;
    ``left``, ``left_share``: found in documents that stay as they are; ``sources``: source ->
    ``items`` found there, their ``share``, ``documents`` that match.

    Args:
        shards: ``contamination/…`` of every partition of ``clean``.
        item_files: the files that ``make_kernel`` was given.
    """
    index = ItemIndex(read_benchmark_items(item_files), section)
    items: dict[tuple[str, str], ItemFindings] = defaultdict(ItemFindings)
    documents: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], str] = {}
    for row in contamination_report(shards):
        items[row["task"], row["item"]].add(row)
        # Rows of a document stand together.
        where = row["task"], row["source"]
        documents[where] += last.get(where) != row["document"]
        last[where] = row["document"]
    tasks = {}
    for task, count in sorted(index.items.items()):
        searched = count - index.skipped[task]
        found = [findings for (of, _), findings in items.items() if of == task]
        left = sum(findings.left > 0 for findings in found)
        sources = sorted({source for findings in found for source in findings.sources})
        by_source = {}
        for source in sources:
            there = sum(source in findings.sources for findings in found)
            by_source[source] = {
                "items": there,
                "share": _share(there, searched),
                "documents": documents[task, source],
            }
        tasks[task] = {
            "items": count,
            "searched": searched if section.enabled else 0,
            "contaminated": len(found),
            "share": _share(len(found), searched),
            "left": left,
            "left_share": _share(left, searched),
            "sources": by_source,
        }
    return ContaminationReport(dict(sorted(items.items())), tasks)


def write_report(report: ContaminationReport, folder: Path) -> list[tuple[str, int]]:
    """Write ``items.parquet`` and ``report.json``; returns (file, rows)."""
    rows = [
        {
            "task": task,
            "item": item,
            "documents": found.documents,
            "words": found.words,
            "covered": found.covered,
            "left": found.left,
            "sources": sorted(found.sources),
            "document": found.document,
            "excerpt": found.excerpt,
        }
        for (task, item), found in report.items.items()
    ]
    with atomic_path(folder / ITEMS_NAME) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, ITEM_SCHEMA), temporary, compression="zstd")
    with atomic_write(folder / REPORT_NAME) as file:
        json.dump({"tasks": report.tasks}, file, ensure_ascii=False, indent=1)
    return [(ITEMS_NAME, len(rows)), (REPORT_NAME, len(report.tasks))]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def publish_report(
    writer: PartitionWriter,
    *,
    shards: Iterable[Path],
    item_files: Sequence[Path],
    section: Decontamination,
) -> Manifest:
    """Publish the report over the whole corpus; counts hold each task's shares."""
    report = merge_reports(shards, item_files, section)
    files = [Shard.of(writer.data, name, rows) for name, rows in write_report(report, writer.data)]
    return writer.publish(files, {"tasks": report.tasks})
