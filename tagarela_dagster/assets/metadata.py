"""What the page shows of a partition: account, reasons, sample documents, curves.

Text of documents only ever goes into table cells, which the page shows literally; Markdown would
let a document load pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from tagarela_dagster.corpus.ledger import QUARANTINE_PREFIX, Ledger
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.road import Road

SAMPLE_DOCUMENTS = 4
SAMPLE_CHARACTERS = 120
SAMPLE_WINDOW = 512
"""Documents looked at for a sample: the beginning of a shard."""
QUARANTINE_ROWS = 8
WEB_READERS = ("arquivo_pt",)
NO_TEXT = "no_text"
"""Reason of a page in which extraction found nothing."""


def describe_documents(road: Road, manifest: Manifest) -> dict[str, Any]:
    """Ledger and samples of a partition of documents."""
    ledger = Ledger.from_json(manifest.counts["ledger"])
    share = ledger.documents_kept / ledger.documents_in if ledger.documents_in else 1.0
    metadata: dict[str, Any] = {
        "dagster/row_count": ledger.documents_kept,
        "documents_in": ledger.documents_in,
        "documents_kept": ledger.documents_kept,
        "kept_share": round(share, 4),
        "megabytes_kept": round(ledger.bytes_kept / 1e6, 4),
        "quarantined": ledger.quarantined,
        "ledger": ledger_table(ledger),
    }
    if ledger.varieties:
        metadata["varieties"] = variety_table(ledger)
    if sample := _sample(road, manifest, "kept/", ("title", "text")):
        metadata["sample_kept"] = sample
    if sample := _sample(road, manifest, "dropped/", ("reason", "text")):
        metadata["sample_dropped"] = sample
    if quarantine := _quarantine(road, manifest):
        metadata["quarantine"] = quarantine
    return metadata


def describe_reading(road: Road, manifest: Manifest) -> dict[str, Any]:
    """Ledger and samples; of web archives also how many pages are left at each step of the road
    from a page to a document."""
    metadata = describe_documents(road, manifest)
    if road.recipe.sources[road.source_of(manifest.partition or "")].reader in WEB_READERS:
        metadata["yield"] = yield_table(Ledger.from_json(manifest.counts["ledger"]))
    return metadata


def yield_table(ledger: Ledger) -> dg.TableMetadataValue:
    """Pages, those that nothing spoke against before they were parsed, those that had text."""
    sound = {
        r: t.documents for r, t in ledger.dropped.items() if not r.startswith(QUARANTINE_PREFIX)
    }
    empty = sound.pop(NO_TEXT, 0)
    parsed = ledger.documents_in - sum(sound.values())
    steps = {
        "records": ledger.documents_in,
        "parsed": parsed,
        "with text": parsed - empty,
        "documents": ledger.documents_kept,
    }
    return table({"step": name, "pages": pages} for name, pages in steps.items())


def describe_decisions(road: Road, manifest: Manifest) -> dict[str, Any]:
    """Ledger of decisions, and some documents that were dropped, with their measured text."""
    metadata = describe_documents(road, manifest)
    if dropped := _dropped(road, manifest):
        metadata["sample_dropped"] = table(dropped)
    return metadata


def describe_shards(road: Road, manifest: Manifest) -> dict[str, Any]:
    """Rows, files and bytes of any partition."""
    return {
        "dagster/row_count": sum(shard.rows for shard in manifest.shards),
        "shards": len(manifest.shards),
        "megabytes": round(sum(shard.bytes for shard in manifest.shards) / 1e6, 4),
        **{k: v for k, v in manifest.counts.items() if isinstance(v, int | float | str)},
    }


def describe_clusters(road: Road, manifest: Manifest) -> dict[str, Any]:
    """Counts of clusters and the largest of them."""
    metadata = describe_shards(road, manifest)
    if largest := manifest.counts["largest"]:
        metadata["largest"] = table(largest)
    return metadata


def ledger_table(ledger: Ledger) -> dg.TableMetadataValue:
    """Account of a partition: what came in, what is left, and why the rest is not."""
    rows = [("in", ledger.documents_in, ledger.bytes_in)]
    reasons = sorted(ledger.dropped.items(), key=lambda item: -item[1].documents)
    rows += [(f"- {reason}", tally.documents, tally.bytes) for reason, tally in reasons]
    rows += [(f"- edit: {name}", 0, removed) for name, removed in sorted(ledger.edits.items())]
    rows.append(("= kept", ledger.documents_kept, ledger.bytes_kept))
    return table({"account": name, "documents": n, "bytes": size} for name, n, size in rows)


def variety_table(ledger: Ledger) -> dg.TableMetadataValue:
    """What came in and what is left, by variety."""
    return table(
        {
            "variety": name,
            "documents_in": part.documents_in,
            "documents_kept": part.documents_kept,
            "bytes_kept": part.bytes_kept,
        }
        for name, part in sorted(ledger.varieties.items())
    )


def table(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Table metadata; floats are rounded for the page, which shows raw digits."""
    records = [
        dg.TableRecord({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})
        for row in rows
    ]
    return dg.MetadataValue.table(records)


def _sample(
    road: Road, manifest: Manifest, prefix: str, columns: Sequence[str]
) -> dg.TableMetadataValue | None:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    for path in road.lake.paths(manifest, prefix):
        with pq.ParquetFile(path) as file:
            batch = next(file.iter_batches(SAMPLE_DOCUMENTS, columns=list(columns)), None)
        for row in batch.to_pylist() if batch else []:
            rows.append({name: _cell(row[name]) for name in columns})
        if len(rows) >= SAMPLE_DOCUMENTS:
            break
    return table(rows[:SAMPLE_DOCUMENTS]) if rows else None


def _dropped(road: Road, manifest: Manifest) -> list[dict[str, Any]]:
    """A few documents that this stage dropped, from the first row groups of its shards."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    reasons = sorted(manifest.counts["ledger"]["dropped"])
    measured = road.lake.manifest("measured", manifest.partition)
    rows: list[dict[str, Any]] = []
    texts = {path.stem: path for path in road.lake.paths(measured, "kept/")} if measured else {}
    for path in road.lake.paths(manifest, "decisions/"):
        if path.stem not in texts or len(rows) >= SAMPLE_DOCUMENTS:
            break
        with pq.ParquetFile(texts[path.stem]) as file, pq.ParquetFile(path) as decisions:
            batch = next(file.iter_batches(SAMPLE_WINDOW, columns=["title", "text"]), None)
            decided = next(decisions.iter_batches(SAMPLE_WINDOW, columns=["reason"]), None)
        if batch is None or decided is None:
            continue
        reason = decided.column("reason")
        ours = pc.indices_nonzero(pc.is_in(reason, pa.array(reasons, pa.string())))
        for row in ours.to_pylist()[: SAMPLE_DOCUMENTS - len(rows)]:
            text = batch.column("text")[row].as_py()
            rows.append({"reason": reason[row].as_py(), "text": _cell(text)})
    return rows


def _quarantine(road: Road, manifest: Manifest) -> dg.TableMetadataValue | None:
    rows: list[dict[str, Any]] = []
    for path in road.lake.paths(manifest, "quarantine/"):
        with path.open(encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                names = ("file", "offset", "reason", "detail")
                rows.append({name: _cell(record[name]) for name in names})
                if len(rows) == QUARANTINE_ROWS:
                    return table(rows)
    return table(rows) if rows else None


def _cell(value: Any) -> str:
    text = " ".join(str(value or "").split())
    return text if len(text) <= SAMPLE_CHARACTERS else text[: SAMPLE_CHARACTERS - 1] + "…"
