"""Tables for the terminal: the ledger and the scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

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


def ledger_table(road: Road) -> Table:
    """The ledger by stage, over all partitions."""
    table = Table(title="Ledger: documents in = kept + dropped", title_justify="left")
    table.add_column("stage")
    for name in ("documents in", "kept", "dropped", "MB kept"):
        table.add_column(name, justify="right")
    table.add_column("most common reasons")
    for total in stage_totals(road.ledgers()):
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
    table = Table(title=title, title_justify="left")
    for name in ("task", "protocol", "metric"):
        table.add_column(name)
    for name in ("value", "95% interval", "items"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row["task"],
            row["protocol"],
            row["metric"],
            f"{row['value']:.4f}",
            f"{row['low']:.4f} – {row['high']:.4f}",
            f"{row['items']:,}",
        )
    return table
