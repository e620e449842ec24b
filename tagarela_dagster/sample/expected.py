"""Expected: what must happen to every record of the sample, written from the plan.

Never from what the pipeline did: a test holds the pipeline to it. Rows of ``expected.json``:
``source``, ``snapshot``, ``name``, ``file`` (below the snapshot), ``native_id`` (null for a record
that gives no document), ``stage`` and ``outcome`` (``kept``, ``dropped``, ``quarantined``) where
its road ends, ``reason``, ``why``; where they apply also ``duplicate_of``, ``edits``, ``gone`` and
``stays`` (strings that the clean text must not, or must, hold).
"""

from __future__ import annotations

from typing import Any

from tagarela_dagster.sample.plan import Item


def row(source: str, snapshot: str, file: str, item: Item, native_id: str | None) -> dict[str, Any]:
    """Expectation of one record."""
    stage, outcome, reason = "clean", "kept", None
    if item.quarantine:
        stage, outcome, reason = "documents", "quarantined", item.quarantine
    elif item.drop:
        stage, _, reason = item.drop.partition("/")
        outcome = "dropped"
    found: dict[str, Any] = {
        "source": source,
        "snapshot": snapshot,
        "name": item.label,
        "file": file,
        "native_id": None if stage == "documents" else native_id,
        "stage": stage,
        "outcome": outcome,
        "reason": reason,
        "why": item.why or "Ordinary prose that every rule lets through.",
    }
    if item.of:
        found["duplicate_of"] = item.of
    for key in ("edits", "gone", "stays"):
        if getattr(item, key):
            found[key] = getattr(item, key)
    return found
