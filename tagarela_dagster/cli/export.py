"""``tagarela export``: the corpus as a folder that any peer reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tagarela_dagster.cli.options import RecipeOption, ScaleOption, open_road


def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the export.")],
    recipe: RecipeOption = None,
    scale: ScaleOption = None,
) -> None:
    """Write the clean corpus as Parquet by source, with its card and Croissant metadata.

    `datasets.load_dataset("OUT")`, polars and datatrove read it as it is. An export that is there
    is replaced when the new one is whole; `SHA256SUMS` has the hash of every file.
    """
    from tagarela_dagster.corpus.card.export import export as write

    road = open_road(recipe, scale)
    facts = write(road.lake, road.recipe, out, road.published("clean"))
    documents = sum(source.documents for source in facts.sources)
    size = sum(source.bytes for source in facts.sources) / 1e6
    Console(highlight=False).print(
        f"{documents:,} documents, {size:,.1f} MB of text, of {len(facts.sources)} sources: {out}",
        markup=False,
    )
