"""``tagarela ledger``: where every document and byte went."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from tagarela_dagster.cli.options import JsonOption, RecipeOption, ScaleOption, open_road
from tagarela_dagster.cli.tables import grouped, ledger_table


def ledger(
    by: Annotated[
        Literal["stage", "source", "snapshot", "variety"],
        typer.Option(help="A table for each source, snapshot or variety."),
    ] = "stage",
    picture: Annotated[
        Path | None, typer.Option(help="Write a Sankey picture (SVG) to this file.")
    ] = None,
    recipe: RecipeOption = None,
    scale: ScaleOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where every document and byte went, by stage and reason.

    With `--json`, one row a stage, source and snapshot: `{stage, source, snapshot, documents_in,
    documents_kept, dropped: {reason: documents}, bytes_in, bytes_kept}`, the bytes dropped and
    edited by reason, and the same for each variety.
    """
    from tagarela_dagster.corpus.flow import sankey
    from tagarela_dagster.provenance.files import atomic_write

    road = open_road(recipe, scale)
    accounts = road.ledgers()
    if picture:
        with atomic_write(picture) as file:
            file.write(sankey(accounts))
    if as_json:
        json.dump([a.as_json() for a in accounts], sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
        return
    console = Console()
    if by == "stage":
        console.print(ledger_table(accounts))
    else:
        for name, part in grouped(accounts, by).items():
            console.print(ledger_table(part, name))
    if picture:
        console.print(f"The picture is in {picture}.", markup=False)
