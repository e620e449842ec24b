"""Gates: what a published partition must satisfy before anything is made from it.

A gate is judged from the manifest and the files beside it, in milliseconds, so it can be asked
again at any time: by the asset check on the page, and by whoever is about to read the partition.
A bad partition stays where it is, to be looked at, and the others go on without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from tagarela_dagster.corpus.ledger import Ledger, LedgerError
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.stations import DOCUMENT_STAGES

MAX_QUARANTINED_SHARE = 0.5
"""A snapshot of which more than half is damaged is a wrong format or a broken download."""


WITHOUT_TEXT = ("filtered", "deduped", "tokens")
"""Stages that hold no documents themselves."""


@dataclass(frozen=True)
class Verdict:
    """Whether a gate is open, in one sentence and numbers."""

    passed: bool
    sentence: str
    numbers: dict[str, float | int | str] = field(default_factory=dict)


Gate = Callable[[Lake, Manifest], Verdict]


def ledger_balances(lake: Lake, manifest: Manifest) -> Verdict:
    """In = kept + dropped + edits; shards hold as many rows as the account says; what came in
    is what the stage before kept."""
    ledger = Ledger.from_json(manifest.counts["ledger"])
    numbers: dict[str, float | int | str] = {
        "documents_in": ledger.documents_in,
        "documents_kept": ledger.documents_kept,
        "documents_dropped": sum(t.documents for t in ledger.dropped.values()),
    }
    try:
        ledger.check()
    except LedgerError as error:
        return Verdict(False, str(error), numbers)
    kept = sum(shard.rows for shard in manifest.select("kept/"))
    if manifest.asset not in WITHOUT_TEXT and kept != ledger.documents_kept:
        return Verdict(
            False,
            f"the shards hold {kept} documents, the account says {ledger.documents_kept}",
            numbers,
        )
    place = DOCUMENT_STAGES.index(manifest.asset)
    for name in DOCUMENT_STAGES[:place][-1:]:
        previous = lake.manifest(name, manifest.partition)
        if previous and manifest.inputs.get(f"{name}[{manifest.partition}]") == previous.hash:
            given = Ledger.from_json(previous.counts["ledger"])
            came = (ledger.documents_in, ledger.bytes_in)
            if came != (given.documents_kept, given.bytes_kept):
                return Verdict(
                    False,
                    f"{came} came in, {name} gave {(given.documents_kept, given.bytes_kept)}",
                    numbers,
                )
    dropped = numbers["documents_dropped"]
    return Verdict(
        True,
        f"{ledger.documents_in} documents in = {ledger.documents_kept} kept + "
        f"{dropped} dropped, to the byte",
        numbers,
    )


def input_is_sound(lake: Lake, manifest: Manifest) -> Verdict:
    """At most half of the records are quarantined, and there is at least one document."""
    ledger = Ledger.from_json(manifest.counts["ledger"])
    share = ledger.quarantined / ledger.documents_in if ledger.documents_in else 0.0
    sentence = f"{ledger.quarantined} of {ledger.documents_in} records are quarantined"
    fault = None
    if share > MAX_QUARANTINED_SHARE:
        fault = f"more than {MAX_QUARANTINED_SHARE:.0%}"
    elif not ledger.documents_kept:
        fault = "and there is no document"
    if fault:
        sentence += f", {fault}: check the source's format and path"
    return Verdict(fault is None, sentence, {"quarantined_share": round(share, 4)})


def scores_are_complete(lake: Lake, manifest: Manifest) -> Verdict:
    """Every score has a finite value inside its interval, over at least one item."""
    path = lake.paths(manifest, "scores.json")[0]
    rows = json.loads(path.read_text(encoding="utf-8"))
    bad = [
        f"{row['task']} ({row['protocol']})"
        for row in rows
        if not (row["items"] > 0 and row["low"] <= row["value"] <= row["high"])
    ]
    sentence = f"bad: {', '.join(bad)}" if bad else f"{len(rows)} scores, each with its interval"
    return Verdict(bool(rows) and not bad, sentence, {"scores": len(rows)})


GATES: dict[str, dict[str, Gate]] = {
    "documents": {"ledger_balances": ledger_balances, "input_is_sound": input_is_sound},
    "measured": {"ledger_balances": ledger_balances},
    "filtered": {"ledger_balances": ledger_balances},
    "deduped": {"ledger_balances": ledger_balances},
    "clean": {"ledger_balances": ledger_balances},
    "tokens": {"ledger_balances": ledger_balances},
    "scores": {"scores_are_complete": scores_are_complete},
}
"""Asset -> gates by name; all of them block."""
