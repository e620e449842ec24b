"""The commands, and how errors reach a person: one sentence on stderr, exit code 1."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable

import typer
from rich.console import Console

from tagarela_dagster.cli import (
    adaptation,
    export,
    ledger,
    models,
    page,
    plan,
    road,
    text,
    trace,
    verify,
)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From public Portuguese text to a scored language model, as one Dagster graph.\n\n"
    "Start with `tagarela demo`, then `tagarela ui`.",
    epilog="`TAGARELA_RECIPE` and `TAGARELA_SCALE` choose what to build, `TAGARELA_HOME` where "
    "(default: .tagarela here), `TAGARELA_WORKERS` with how many processes, `TAGARELA_ENGINE` "
    "whether on this machine (`local`), `ray` or `slurm`.",
)
COMMANDS: tuple[Callable[..., None], ...] = (
    road.demo,
    page.ui,
    road.materialize,
    plan.plan,
    ledger.ledger,
    trace.trace,
    trace.forget,
    verify.verify,
    export.export,
    text.filter_,
    text.dedup,
    models.evaluate,
    models.chat,
    adaptation.apply_delta,
)
for command in COMMANDS:
    app.command(command.__name__.strip("_").replace("_", "-"))(command)


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
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None or os.environ.get("TAGARELA_TRACEBACK"):
            raise
        console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
        console.print(f"tagarela: {sentence}", style="red")
        sys.exit(1)


def _sentence(error: Exception) -> str | None:
    """What an expected error says to a person; None for any other."""
    if isinstance(error, KeyError):
        # A KeyError's own text is the repr of its message.
        return str(*error.args[:1]) or "KeyError"
    if isinstance(error, ValueError | LookupError | OSError | RuntimeError):
        return str(error) or type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, sqlite3.Error):
            return (
                f"the database below {os.environ.get('DAGSTER_HOME')} cannot be used ({cause}): "
                "free some space there, or set TAGARELA_HOME to another folder"
            )
        cause = cause.__cause__
    return None
