"""``tagarela ledger``: where every document and byte went."""

from __future__ import annotations

import json
import sys

from rich.console import Console

from tagarela_dagster.cli.options import JsonOption, RecipeOption, ScaleOption, open_road
from tagarela_dagster.cli.tables import ledger_table


def ledger(
    recipe: RecipeOption = None, scale: ScaleOption = None, as_json: JsonOption = False
) -> None:
    """Show where every document and byte went, by stage and reason.

    With `--json`, one row a stage, source and snapshot: `{stage, source, snapshot, documents_in,
    documents_kept, dropped: {reason: documents}, bytes_in, bytes_kept}`, and the bytes dropped
    and edited by reason.
    """
    road = open_road(recipe, scale)
    if as_json:
        rows = [account.as_json() for account in road.ledgers()]
        json.dump(rows, sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
        return
    Console().print(ledger_table(road))
