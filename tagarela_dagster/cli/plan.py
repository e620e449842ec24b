"""``tagarela plan``: what a recipe's training needs and takes, before it is run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from tagarela_dagster.cli.options import JsonOption, RecipeOption, ScaleOption

if TYPE_CHECKING:
    from tagarela_dagster.training.cost.plan import Plan, StagePlan

UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
SIZES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
COLUMNS = (
    ("weights", ("weights", "frozen weights", "gathered weights")),
    ("gradients", ("gradients", "buckets")),
    ("optimizer", ("optimizer", "optimizer step")),
    ("activations", ("activations",)),
    ("logits", ("logits",)),
    ("other", ("fragmentation", "context")),
)
"""Column of the memory table -> parts of it (training/cost/memory.py)."""


def plan(
    recipe: RecipeOption = None,
    scale: ScaleOption = None,
    cluster: Annotated[
        str,
        typer.Option(help="Where: `4xa100-40gb`, `8xh100`, `leonardo`, `here` … or a YAML file."),
    ] = "4xa100-40gb",
    mfu: Annotated[
        float | None,
        typer.Option(min=0.01, max=1.0, help="Assumed MFU, in place of measured systems'."),
    ] = None,
    country: Annotated[
        str,
        typer.Option(envvar="TAGARELA_COUNTRY", help="Country of the grid (`BRA`, `PRT`)."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Plan every training of a recipe on a cluster, without running it.

    Parameters, memory of a rank, tokens, steps, operations, hours, energy, disk. Exit code 1 when
    something cannot fit or cannot be planned, with what to change.
    """
    from tagarela_dagster.recipe.load import load_recipe
    from tagarela_dagster.training.cost.clusters import find_cluster
    from tagarela_dagster.training.cost.plan import plan_recipe

    found = plan_recipe(load_recipe(recipe, scale), find_cluster(cluster), mfu, country)
    if as_json:
        json.dump(found.as_json(), sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
    else:
        _show(found)
    if found.problems:
        raise typer.Exit(1)


def _show(plan: Plan) -> None:
    console = Console(highlight=False)
    tokens = plan.recipe.training_sequences * plan.recipe.training.model.context
    console.print(
        f"{plan.recipe.name} on {plan.cluster.name} ({plan.cluster.devices:,} x "
        f"{plan.cluster.device or 'CPU'}); mixture: {plan.recipe.training_sequences:,} sequences, "
        f"{short(tokens)} tokens\n",
        markup=False,
    )
    console.print(_stages(plan.stages), "")
    console.print(_memory(plan.stages), "")
    for sentence in plan.assumptions:
        console.print(f"· {sentence}", style="dim", markup=False)
    for sentence in plan.problems:
        console.print(f"✗ {sentence}", style="red", markup=False)
    if not plan.problems:
        console.print("✓ everything fits", style="green", markup=False)


def _stages(stages: list[StagePlan]) -> Table:
    table = _table("Stages", ("stage", "kind"))
    for name in ("params", "trained", "ranks", "steps", "tokens", "FLOPs", "hours", "kWh", "disk"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in stages:
        work, shape = stage.work, stage.work.shape
        table.add_row(
            work.name,
            work.stage.kind,
            short(shape.parameters if shape else None),
            short(work.trained),
            str(stage.world) if stage.fit else "",
            f"{work.steps:,}" if work.steps is not None else "–",
            short(work.tokens),
            "–" if stage.flops is None else f"{stage.flops:.1e}",
            amount(stage.hours),
            amount(stage.kwh),
            size(stage.disk),
        )
    return table


def _memory(stages: list[StagePlan]) -> Table:
    table = _table("Memory of a rank, GiB", ("stage",))
    for name in (*(name for name, _ in COLUMNS), "sum", "of"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for stage in stages:
        if stage.fit is None:
            continue
        rows = stage.fit.memory.rows
        table.add_row(
            stage.work.name,
            *(f"{sum(rows.get(part, 0) for part in parts) / 2**30:.2f}" for _, parts in COLUMNS),
            f"{stage.fit.memory.total / 2**30:.1f}",
            f"{stage.fit.available / 2**30:.1f}",
            " fits" if stage.fit.fits else " too much",
        )
    return table


def _table(title: str, names: tuple[str, ...]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0,
    )
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def short(value: float | None) -> str:
    """A count in three digits: 1.32B; a dash for none."""
    return "–" if value is None else _scaled(value, UNITS, "")


def size(value: float | None) -> str:
    """Bytes in three digits: 2.45 GiB; a dash for none."""
    return "–" if value is None else _scaled(value, SIZES, " ")


def amount(value: float | None) -> str:
    """A quantity in three digits or more."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _scaled(value: float, units: tuple[tuple[float, str], ...], gap: str) -> str:
    for unit, name in units:
        if value >= unit:
            return f"{value / unit:.3g}{gap}{name}"
    return f"{value:.3g}"
