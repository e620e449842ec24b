"""``tagarela filter`` and ``tagarela dedup``: the corpus kernels on anybody's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from tagarela_dagster.cli.options import RecipeOption


def filter_(
    input_: Annotated[Path, typer.Argument(metavar="IN", help="Parquet or JSONL file or folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the results.")],
    recipe: RecipeOption = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
) -> None:
    """Filter any Parquet or JSONL with a `text` column by the recipe's rules.

    Writes `OUT/kept.parquet`, `OUT/dropped.parquet` (with `reason`) and `OUT/summary.json`;
    records that cannot be read go to `OUT/quarantine.jsonl` with file, place and reason. Needs no
    Dagster and no lake; `id` is optional.
    """
    from tagarela_dagster.corpus.filtering.command import filter_file
    from tagarela_dagster.recipe import load_recipe

    corpus = load_recipe(recipe).corpus
    with _Counter("filtering") as counter:
        summary = filter_file(input_, out, corpus, workers=workers, progress=counter.advance)
    _tell(summary, out)


def dedup(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN… OUT",
            help="Parquet or JSONL files or folders, then a folder "
            "for the results. Of two duplicates, the earlier input's survives.",
        ),
    ],
    recipe: RecipeOption = None,
) -> None:
    """Remove exact and near duplicates from any Parquet or JSONL with a `text` column.

    Writes `OUT/kept.parquet`, `OUT/dropped.parquet` (with `reason`), `OUT/clusters.parquet`
    (`cluster`, `id`, `kept`, `size`, `kind`) and `OUT/summary.json`; records that cannot be read
    go to `OUT/quarantine.jsonl` with file, place and reason. Needs no Dagster and no lake; `id`
    is optional.
    """
    from tagarela_dagster.corpus.dedup.command import dedup_files
    from tagarela_dagster.recipe import load_recipe

    if len(paths) < 2:
        raise typer.BadParameter("give at least one input and the output folder: IN… OUT")
    *inputs, out = paths
    with _Counter("deduplicating") as counter:
        summary = dedup_files(
            inputs, out, load_recipe(recipe).corpus.dedup, progress=counter.advance
        )
    _tell(summary, out)


class _Counter:
    """A running count of documents on stderr."""

    def __init__(self, what: str) -> None:
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            MofNCompleteColumn(),
            TextColumn("documents"),
            console=(console := Console(stderr=True)),
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task(what, total=None)

    def __enter__(self) -> _Counter:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def advance(self, documents: int) -> None:
        self.progress.advance(self.task, documents)


def _tell(summary: dict[str, Any], out: Path) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    kept, total = summary["documents_kept"], summary["documents_in"]
    console.print(f"{kept:,} of {total:,} documents kept, in {out}")
    for reason, count in sorted(summary["dropped"].items(), key=lambda item: -item[1]):
        console.print(f"  {count:>9,}  {reason}")
    if unread := summary["quarantined"]:
        console.print(f"{unread:,} records could not be read: see {out / 'quarantine.jsonl'}")
