"""``tagarela demo`` and ``tagarela materialize``: drive along the road from the terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tagarela_dagster.cli.options import RecipeOption, ScaleOption, SourcesOption, open_road
from tagarela_dagster.cli.tables import ledger_table, score_table

if TYPE_CHECKING:
    from tagarela_dagster.automation.drive import Journey, Leg
    from tagarela_dagster.resources.road import Road


def demo(
    recipe: RecipeOption = None, scale: ScaleOption = None, sources: SourcesOption = None
) -> None:
    """Run the whole road and print the ledger and the scores.

    From the bundled sample corpus (or the recipe's sources) to clean text, a tokenizer, a small
    trained model and its scores. Run it again: what is fresh is left alone.
    """
    road = open_road(recipe, scale, sources)
    journey = _drive(road, None, None, "demo")
    console = Console()
    console.print(ledger_table(road.ledgers()))
    console.print(score_table(road))
    _end(console, journey)
    console.print("Open the page:  [bold]tagarela ui[/]   (or: make ui)", highlight=False)


def materialize(
    recipe: RecipeOption = None,
    scale: ScaleOption = None,
    sources: SourcesOption = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="Assets, comma-separated: `filtered`, `+clean` (with all before it), "
            "`tokenizer+` (with all after it). Default: all.",
        ),
    ] = None,
    partition: Annotated[
        str | None, typer.Option(help="One snapshot (`oscar@2023-06`) or checkpoint.")
    ] = None,
) -> None:
    """Materialize what is missing or stale, of a recipe or a part of it.

    Every run appears on the page with its events, as if it had been started there.
    """
    from tagarela_dagster.automation.selection import expand

    road = open_road(recipe, scale, sources)
    chosen = expand(road, select) if select else None
    _check_partition(road, partition)
    journey = _drive(road, chosen, partition, "materialize")
    console = Console()
    if chosen is None:
        console.print(ledger_table(road.ledgers()))
        console.print(score_table(road))
    _end(console, journey)


def _check_partition(road: Road, partition: str | None) -> None:
    """Raise ValueError for a partition that is neither a snapshot nor a checkpoint."""
    if partition and partition not in road.partitions and partition not in road.checkpoints:
        raise ValueError(
            f"{partition!r} is no snapshot and no checkpoint of this recipe; snapshots: "
            f"{', '.join(road.partitions)}"
        )


def _drive(road: Road, select: tuple[str, ...] | None, partition: str | None, name: str) -> Journey:
    """Drive with a line of progress for each leg."""
    import dagster as dg

    from tagarela_dagster.automation.drive import drive
    from tagarela_dagster.resources.instance import prepare_instance

    console = Console(stderr=True)
    prepare_instance(road.home)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress, dg.DagsterInstance.get() as instance:
        from tagarela_dagster.definitions import build_definitions

        task = progress.add_task("looking for what is missing or stale", total=None)
        started: list[tuple[Leg, float]] = []

        def on_leg(leg: Leg) -> None:
            if started:
                _tell(console, *started.pop())
            started.append((leg, time.monotonic()))
            progress.update(task, description=leg.title)

        journey = drive(
            build_definitions(road),
            road,
            instance,
            select=select,
            partition=partition,
            name=name,
            on_leg=on_leg,
        )
        if started:
            _tell(console, *started.pop())
    return journey


def _tell(console: Console, leg: Leg, since: float) -> None:
    console.print(
        f"{time.monotonic() - since:7.1f} s  {leg.title}  [dim]{escape(leg.reason)}[/]",
        highlight=False,
        soft_wrap=True,
    )


def _end(console: Console, journey: Journey) -> None:
    """Say how it went; exit with 1 when a leg failed."""
    if journey.failed:
        errors = Console(stderr=True, soft_wrap=True, highlight=False)
        for leg, error in journey.failed:
            errors.print(f"[red]failed[/] {leg.title}")
            errors.print(f"  {error}", markup=False)
        raise typer.Exit(1)
    if journey.done:
        console.print(f"{len(journey.done)} legs run, {journey.fresh} partitions were fresh.")
    else:
        console.print(f"Everything is fresh: {journey.fresh} partitions, nothing to do.")
