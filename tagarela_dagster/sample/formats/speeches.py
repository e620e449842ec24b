"""Speeches as CSV, a speech a line: speaker, text, day."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tagarela_dagster.provenance.files import atomic_path
from tagarela_dagster.sample.formats.context import Context
from tagarela_dagster.sample.plan import Item


def write(path: Path, items: Sequence[Item], context: Context) -> dict[str, str]:
    """Write one CSV file; an item's settings may name a ``day``."""
    ids: dict[str, str] = {}
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["codigo", "nome", "data", "discurso"])
        for number, item in enumerate(items, 1):
            prose = context.prose(item)
            code = f"{path.stem}-{number:03d}"
            speaker = prose.title.partition("Deputad")[2].partition(" ")[2].partition(" sobre")[0]
            day = item.has.get("day", "2026-04-15")
            writer.writerow([code, speaker, day, " ".join(prose.paragraphs)])
            ids[item.label] = code
    return ids
