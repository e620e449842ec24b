"""The commands, and how errors reach a person: one sentence on stderr, exit code 1."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import typer
from rich.console import Console

from tagarela_dagster.cli import ledger, models, page, road, text

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From public Portuguese text to a scored language model, as one Dagster graph.\n\n"
    "Start with `tagarela demo`, then `tagarela ui`.",
    epilog="`TAGARELA_RECIPE` and `TAGARELA_SCALE` choose what to build, `TAGARELA_HOME` where "
    "(default: .tagarela here), `TAGARELA_WORKERS` with how many processes.",
)
COMMANDS: tuple[Callable[..., None], ...] = (
    road.demo,
    page.ui,
    road.materialize,
    ledger.ledger,
    text.filter_,
    text.dedup,
    models.evaluate,
    models.chat,
)
for command in COMMANDS:
    app.command(command.__name__.strip("_"))(command)


def main() -> None:
    """Run the command line; an expected error is a sentence, anything else a traceback."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output is gone (``| head``): nothing is left to say. Click ends with 1
        # when it meets this itself.
        os._exit(1)
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        if os.environ.get("TAGARELA_TRACEBACK"):
            raise
        # A KeyError's own text is the repr of its message.
        message = str(error.args[0] if isinstance(error, KeyError) else error)
        Console(stderr=True).print(
            f"tagarela: {message or type(error).__name__}",
            style="red",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        sys.exit(1)
