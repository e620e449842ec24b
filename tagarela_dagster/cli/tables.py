"""Tables for the terminal: the ledger and the scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from tagarela_dagster.corpus.ledger import Ledger
    from tagarela_dagster.resources.road import Road

REASONS_SHOWN = 4


def stage_totals(ledgers: Iterable[Ledger]) -> list[Ledger]:
    """Accounts summed over partitions, one a stage, in order of appearance."""
    from tagarela_dagster.corpus.ledger import Ledger as Account

    totals: dict[str, Account] = {}
    for ledger in ledgers:
        totals.setdefault(ledger.stage, Account(ledger.stage, "all", "all")).add(ledger)
    return list(totals.values())


def grouped(ledgers: Iterable[Ledger], by: str) -> dict[str, list[Ledger]]:
    """Accounts of each source, snapshot or variety, sorted by its name."""
    groups: dict[str, list[Ledger]] = {}
    for ledger in ledgers:
        if by == "variety":
            for name, part in ledger.varieties.items():
                groups.setdefault(name, []).append(part)
            continue
        name = ledger.source if by == "source" else f"{ledger.source}@{ledger.snapshot}"
        groups.setdefault(name, []).append(ledger)
    return dict(sorted(groups.items()))


def ledger_table(ledgers: Iterable[Ledger], title: str = "Ledger") -> Table:
    """Accounts by stage, summed over partitions."""
    table = _table(f"{title}: documents in = kept + dropped")
    table.add_column("stage", no_wrap=True)
    for name in ("in", "kept", "dropped", "MB kept"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("most common reasons")
    for total in stage_totals(ledgers):
        row = total.as_json()
        dropped = row["dropped"]
        shown = list(dropped.items())[:REASONS_SHOWN]
        reasons = ", ".join(f"{reason} {count}" for reason, count in shown)
        if len(dropped) > REASONS_SHOWN:
            reasons += f", {len(dropped) - REASONS_SHOWN} more"
        table.add_row(
            total.stage,
            f"{total.documents_in:,}",
            f"{total.documents_kept:,}",
            f"{total.documents_in - total.documents_kept:,}",
            f"{total.bytes_kept / 1e6:,.3f}",
            reasons,
        )
    return table


def score_table(road: Road) -> Table:
    """Scores of the newest checkpoint, with their intervals."""
    key, rows = road.newest_scores()
    title = f"Scores of {key}" if key else "No checkpoint has scores yet"
    table = _table(title)
    for name in ("task", "protocol"):
        table.add_column(name, no_wrap=True)
    for name in ("value", "interval", "items"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["task"],
            row["protocol"],
            f"{row['value']:.4f}",
            f"{row['low']:.4f}–{row['high']:.4f}",
            f"{row['items']:,}",
        )
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
