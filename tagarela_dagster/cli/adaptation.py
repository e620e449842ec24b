"""``tagarela apply-delta``: a released difference and its base make the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def apply_delta(
    delta: Annotated[Path, typer.Argument(metavar="DELTA", help="Folder of a released delta.")],
    base: Annotated[Path, typer.Option("--base", help="Folder of the model it is taken against.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for the model.")],
) -> None:
    """Make a model from its base and a released weight difference.

    The delta's files, the base's files and the weights that come out are compared with the hashes
    in `DELTA/delta.json`: the result is the released model bit for bit, or nothing is written.
    """
    from tagarela_dagster.training.adaptation.delta import apply_delta as make

    hashes = make(delta, base, out)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for name, sha256 in hashes.items():
        console.print(f"{sha256}  {out / name}")
