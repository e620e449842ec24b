"""Options that several commands share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tagarela_dagster.resources.road import Road

RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        envvar="TAGARELA_RECIPE",
        help="Recipe file, or the name of one in recipes/.",
        show_default="recipes/sample.yaml",
    ),
]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        "--scale",
        envvar="TAGARELA_SCALE",
        help="`tiny` shrinks model and steps so that any recipe runs on 2 cores in minutes.",
        show_default="full",
    ),
]
SourcesOption = Annotated[
    str | None,
    typer.Option(
        "--sources",
        envvar="TAGARELA_SOURCES",
        help="Another recipe, whose corpus takes the place of this one's (`sample`).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def open_road(recipe: str | None, scale: str | None, sources: str | None = None) -> Road:
    """The road of a recipe; the choice is handed on to child processes by the environment."""
    from tagarela_dagster.recipe.load import (
        RECIPE_VARIABLE,
        SCALE_VARIABLE,
        SOURCES_VARIABLE,
        find_recipe,
    )
    from tagarela_dagster.resources.road import Road

    os.environ[RECIPE_VARIABLE] = str(find_recipe(recipe).absolute())
    os.environ[SCALE_VARIABLE] = scale or "full"
    if sources:
        os.environ[SOURCES_VARIABLE] = str(find_recipe(sources).absolute())
    return Road.from_environment()
