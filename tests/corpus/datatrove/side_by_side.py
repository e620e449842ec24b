"""datatrove's steps and this project's on the same documents, each in its own local executor."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers.jsonl import JsonlWriter

from tagarela_dagster import sample
from tests.corpus.filtering.filter_prose import PROSE

BOOKS = Path(sample.__file__).parent / "livros"
ENGLISH = "The market opens at seven and the fog still covers the river of the old town. " * 9
CODE = "\n".join(f"if (x[{n}] > {n * 7}) {{ y += {n}; }} // passo {n}" for n in range(40))
MENU = "\n".join(["Início", "Notícias", "Desporto", "Contactos", "Entrar"] * 12)


@cache
def texts() -> tuple[str, ...]:
    """Prose of the sample, and what pages do to prose."""
    books = [path.read_text(encoding="utf-8") for path in sorted(BOOKS.rglob("*.md"))]
    prose = [*PROSE.values(), *books]
    paragraphs = [part for text in prose for part in text.split("\n\n") if len(part) > 40]
    return (
        *prose,
        *paragraphs[:60],
        *(f"{part}\n\n{part}\n\n{part}" for part in paragraphs[:12]),
        *(f"{text}\n{text[:300]}\n{text[:300]}" for text in prose),
        *(text.replace(". ", "...\n") for text in prose),
        *(text.replace("\n", "\n- ") for text in prose),
        *(f"{text}\nThis site uses cookies. Lorem ipsum dolor." for text in prose[:3]),
        *(f"{text}\nAtive o JavaScript para ver a página inteira." for text in prose[:3]),
        *(f"{text}\nA chave {{abre}} e fecha a porta da casa." for text in prose[:3]),
        *("# ".join(text.split(" ")) for text in prose[:3]),
        ENGLISH, CODE, MENU, "Olá.", "— ! ?", " \n ", "",
    )  # fmt: skip


class Texts(PipelineStep):
    """Yields texts as documents."""

    name = "texts"
    type = "test"

    def __init__(self, given: Sequence[str] | None = None) -> None:
        super().__init__()
        self.given = list(texts() if given is None else given)

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        for number in range(rank, len(self.given), world_size):
            yield Document(text=self.given[number], id=str(number))


def run_steps(
    folder: Path, *steps: PipelineStep, given: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Documents by id as the steps left them; dropped ones have ``filter_reason``.

    Filters of the steps get a writer of what they drop.
    """
    dropped = []
    for number, step in enumerate(steps):
        if hasattr(step, "exclusion_writer"):
            dropped.append(folder / f"dropped_{number}")
            step.exclusion_writer = JsonlWriter(str(dropped[-1]), compression=None)
    kept = JsonlWriter(str(folder / "kept"), compression=None)
    pipeline = [Texts(given), *steps, kept]
    LocalPipelineExecutor(pipeline, tasks=1, logging_dir=str(folder / "logs")).run()
    return {
        row["id"]: row
        for place in (folder / "kept", *dropped)
        for file in sorted(place.glob("*.jsonl"))
        for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())
    }


def counted(step: PipelineStep, given: Sequence[str]) -> dict[str, float]:
    """Statistics of a step that has run over the texts."""
    list(step.run(Texts(given).run(None)))
    return {name: metric.total for name, metric in step.stats.stats.items()}


def fates(documents: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str | None]]:
    """Text and drop reason of each document."""
    return {
        number: (row.get("text", ""), row.get("metadata", {}).get("filter_reason"))
        for number, row in documents.items()
    }


MIRROR = Path(os.environ.get("TAGARELA_MIRROR") or Path(__file__).parents[4] / "shared" / "data")
