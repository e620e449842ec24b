"""``tagarela verify``: every file of the lake against the hash in its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tagarela_dagster.cli.options import RecipeOption, ScaleOption, open_road
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import MANIFEST_NAME, ManifestError


def verify(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Remove damaged files, so that `materialize` makes them again."
        ),
    ] = False,
    recipe: RecipeOption = None,
    scale: ScaleOption = None,
) -> None:
    """Read every published file and compare it with its hash; name those that are damaged.

    Exit code 1 when any is. `--repair` removes them: the next `tagarela materialize` makes these
    files again, and none beside them; where a manifest itself is damaged, its whole partition.
    """
    road = open_road(recipe, scale)
    console = Console(highlight=False, soft_wrap=True)
    files = bad = 0
    for asset in (*road.recipe.sources, *road.stations):
        for key in road.lake.places(asset):
            damaged, of = _damaged(road.lake, asset, key)
            files += of
            for path in damaged:
                bad += 1
                name = f"{asset}[{key}]" if key else asset
                console.print(f"damaged: {name} {path}", markup=False)
                if repair:
                    path.unlink(missing_ok=True)
    if not bad:
        console.print(f"{files:,} files are as their manifests say.")
        return
    todo = "run `tagarela materialize`" if repair else "remove them with --repair"
    console.print(f"{bad:,} of {files:,} files are damaged: {todo}.")
    raise typer.Exit(0 if repair else 1)


def _damaged(lake: Lake, asset: str, key: str | None) -> tuple[list[Path], int]:
    """Damaged files of a partition, and how many it has beside its manifest."""
    try:
        manifest = lake.require(asset, key)
    except ManifestError:
        return [lake.folder(asset, key) / MANIFEST_NAME], 0
    return lake.damaged(manifest), len(manifest.shards)
