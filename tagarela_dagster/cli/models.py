"""``tagarela evaluate`` and ``tagarela chat``: any local model folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from tagarela_dagster.cli.options import JsonOption

if TYPE_CHECKING:
    from tagarela_dagster.resources.road import Road

CONVERSING = ("sft", "preference", "grpo")
"""Kinds of stages whose models converse."""

ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Model folder in Hugging Face layout.")
]


def evaluate(
    model: ModelArgument,
    tasks: Annotated[
        str, typer.Option(help="Tasks, comma-separated: `last_word`, `bits_per_byte`.")
    ] = "last_word",
    protocol: Annotated[
        str, typer.Option(help="Last-word protocols, comma-separated: `gloria`, `tucano`.")
    ] = "gloria,tucano",
    data: Annotated[
        str,
        typer.Option(
            help="Items: a file (JSONL, CSV, Parquet), `hub:NAME`, or `sample:…`, the bundled set."
        ),
    ] = "sample:benchmarks/ultima_palavra.jsonl",
    limit: Annotated[int | None, typer.Option(min=1, help="Score only the first items.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score any local model folder, with intervals.

    With `--json`, rows `{task, protocol, shots, metric, value, low, high, items}`.
    """
    from tagarela_dagster.evals.command import evaluate_model

    rows = evaluate_model(
        model, tasks=tasks.split(","), protocols=protocol.split(","), data=data, limit=limit
    )
    if as_json:
        json.dump(rows, sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
        return
    table = Table("task", "protocol", "metric", "value", "95% interval", "items")
    for row in rows:
        interval = f"{row['low']:.4f} – {row['high']:.4f}"
        values = (row["task"], row["protocol"], row["metric"], f"{row['value']:.4f}")
        table.add_row(*values, interval, str(row["items"]))
    Console().print(table)


def chat(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[MODEL]", help="Model folder; default: the recipe's own."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Ask one question and print the answer.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer at most.")] = 200,
) -> None:
    """Talk to a model in the terminal (an empty line or Ctrl-D ends it).

    Without a model folder: the last stage of the recipe that converses.
    """
    from tagarela_dagster.cli.options import open_road
    from tagarela_dagster.training.alignment.chat import reply

    folder = model or _newest_model(open_road(None, None))
    messages: list[dict[str, str]] = []
    console = Console()
    while True:
        question = prompt if prompt is not None else _ask(console)
        if not question:
            return
        messages.append({"role": "user", "content": question})
        answer = ""
        for piece in reply(folder, messages, max_new_tokens=max_tokens):
            answer += piece
            console.print(piece, end="", markup=False, highlight=False)
        console.print()
        if prompt is not None:
            return
        messages.append({"role": "assistant", "content": answer})


def _ask(console: Console) -> str:
    try:
        return console.input("[bold]» [/]").strip()
    except EOFError:
        return ""


def _newest_model(road: Road) -> Path:
    """Model of the last fine-tuned stage that is published. Raises ValueError without one."""
    stages = road.recipe.training.in_order
    tuned = [name for name, stage in stages.items() if stage.kind in CONVERSING]
    for name in reversed(tuned):
        if road.lake.manifest(name):
            return road.lake.data(name) / "model"
    wanted = f"materialize {tuned[-1]}" if tuned else "it has no stage that converses"
    raise ValueError(f"no model of recipe {road.recipe.name} converses yet: {wanted}")
