"""``tagarela trace`` and ``tagarela forget``: one document through every stage, and out of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from tagarela_dagster.cli.options import JsonOption, RecipeOption, ScaleOption, open_road

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID|URL|HOST|HASH",
        help="A document's id, its URL, a host, or the SHA-256 of a text.",
        show_default=False,
    ),
]
SIGNALS_SHOWN = 8


def trace(
    name: NameArgument,
    recipe: RecipeOption = None,
    scale: ScaleOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a document through every stage: what was read, edited, decided, kept.

    An id may stand in several snapshots: each is followed on its own.
    """
    from tagarela_dagster.corpus.tombstones import Target
    from tagarela_dagster.corpus.trace import locate
    from tagarela_dagster.corpus.trace import trace as follow

    road = open_road(recipe, scale)
    target = Target.parse(name)
    places = dict.fromkeys(locate(road.lake, target, road.lake.partitions("documents")))
    if not places:
        raise LookupError(
            f"no document that was read into this recipe's corpus has the {target.kind} {name!r}"
        )
    found = [(place, follow(road.lake, place)) for place in places]
    if as_json:
        rows = [
            {
                "partition": place.partition,
                "id": place.id,
                "stages": [
                    {"stage": stop.stage, "fate": stop.fate, **stop.details} for stop in stops
                ],
            }
            for place, stops in found
        ]
        json.dump(rows, sys.stdout, ensure_ascii=False, indent=1, default=str)
        sys.stdout.write("\n")
        return
    console = Console()
    for place, stops in found:
        tree = Tree(f"[bold]{escape(place.id)}[/] · {escape(place.partition)}")
        for stop in stops:
            branch = tree.add(f"[bold]{stop.stage}[/]  {escape(stop.fate)}")
            for line in _lines(stop.details):
                branch.add(escape(line))
        console.print(tree, highlight=False)


def forget(
    name: NameArgument,
    copies: Annotated[
        bool, typer.Option("--copies", help="Forget its exact and near duplicates as well.")
    ] = False,
    recipe: RecipeOption = None,
    scale: ScaleOption = None,
) -> None:
    """Take a document, a URL or a whole host out of the corpus, and keep it out.

    Writes a tombstone (a hash, never the thing itself) that every recipe's readers obey, and makes
    stale what it stood in. `tagarela materialize` then makes that again without it, and removes
    earlier files and events that still held it.
    """
    from tagarela_dagster.resources.takedown import forget as take_down

    road = open_road(recipe, scale)
    done = take_down(road.home, name, with_copies=copies)
    console = Console(highlight=False)
    documents = sum(len(ids) for ids in done.places.values())
    console.print(
        f"A tombstone for the {done.target.kind} is written: what matches it is never read again."
    )
    for place, ids in done.places.items():
        console.print(f"  {escape(place)}: {len(ids)} document{'s' * (len(ids) != 1)}")
    if not documents:
        console.print("No document in the corpus matches it now.")
        return
    if done.copies:
        console.print(
            f"{len(done.copies)} duplicate(s) of it stay, and one may take its place: "
            f"`tagarela forget --copies` forgets them too ({escape(', '.join(done.copies[:5]))})"
        )
    if done.taken:
        console.print(f"{len(done.taken)} duplicate(s) are forgotten with it.")
    console.print("Now: `tagarela materialize` makes what it stood in again, without it.")
    if done.models:
        console.print("These trainings may have learned it; remove their folders if they must go:")
        for folder in done.models:
            console.print(f"  {escape(folder)}")


def _lines(details: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, value in details.items():
        if name == "signals":
            shown = list(value.items())[:SIGNALS_SHOWN]
            value = ", ".join(f"{k} {v:.4g}" for k, v in shown) + f" … ({len(value)} in all)"
        elif name == "members":
            value = ", ".join(f"{row['id']} ({row['partition']})" for row in value)
        elif isinstance(value, dict | list):
            value = json.dumps(value, ensure_ascii=False)
        lines.append(f"{name}: {value}")
    return lines
