"""Benchmark items for tests, and files of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagarela_dagster.corpus.decontamination.index import Found, ItemIndex
from tagarela_dagster.corpus.decontamination.items import read_benchmark_items
from tagarela_dagster.recipe.decontamination import Decontamination

BAKER = (
    "O padeiro levantava-se às três da manhã para acender o forno, amassar a farinha e deixar "
    "levedar a massa. Às sete já cheirava a"
)
ISLAND = "A ilha do Farol tem 12 casas, nenhuma escola e um"
ITEMS: Sequence[Any] = [
    {"id": "p", "sentence": BAKER, "last_word": "pão"},
    {"id": "i", "sentence": ISLAND, "last_word": "faroleiro"},
    {"id": "c", "sentence": "Choveu o dia", "last_word": "inteiro"},
]


def write_items(folder: Path, task: str = "ultima_palavra", items: Sequence[Any] = ITEMS) -> Path:
    """``TASK.jsonl`` with these items."""
    path = folder / f"{task}.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def index(folder: Path, items: Sequence[Any] = ITEMS, **section: Any) -> ItemIndex:
    """Index of these items."""
    files = [write_items(folder, items=items)]
    return ItemIndex(read_benchmark_items(files), Decontamination(**section))


def search(of: ItemIndex, texts: Sequence[str]) -> dict[int, Found]:
    """Search a list of texts."""
    return of.search(pa.array(texts, pa.large_string()))


def lengths(of: ItemIndex, texts: Sequence[str]) -> list[list[tuple[str, int]]]:
    """Item and words of the longest run, for every text."""
    found = search(of, texts)
    return [
        [(m.item, m.words) for m in found[row].matches] if row in found else []
        for row in range(len(texts))
    ]
