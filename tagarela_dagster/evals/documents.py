"""Documents whose bits per byte are measured: Parquet or JSONL with a ``text`` column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tagarela_dagster.evals.items import ItemsError

COLUMNS = ("id", "text", "source", "variety")


@dataclass(frozen=True)
class HeldOutDocument:
    """One document; ``source`` and ``variety`` group the results."""

    id: str
    text: str
    source: str | None = None
    variety: str | None = None


def read_documents(path: Path, max_characters: int) -> Iterator[HeldOutDocument]:
    """Documents with text, each cut to its first ``max_characters`` characters.

    Raises:
        ItemsError: the file is missing, is neither Parquet nor JSONL, or a row has no text.
    """
    if not path.is_file():
        raise ItemsError(f"{path} does not exist: give a Parquet or JSONL file of documents")
    if path.suffix not in (".parquet", ".jsonl"):
        raise ItemsError(f"{path} is neither .parquet nor .jsonl")
    rows = _parquet(path) if path.suffix == ".parquet" else _jsonl(path)
    for number, row in enumerate(rows, 1):
        text = row.get("text")
        if not isinstance(text, str):
            raise ItemsError(f"{path}, row {number}: there is no `text` column with text in it")
        if text:
            identifier = row.get("id")
            yield HeldOutDocument(
                id=str(number) if identifier is None else str(identifier),
                text=text[:max_characters],
                source=row.get("source"),
                variety=row.get("variety"),
            )


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    with pq.ParquetFile(path) as file:
        columns = [name for name in COLUMNS if name in file.schema_arrow.names]
        for batch in file.iter_batches(256, columns=columns):
            yield from batch.to_pylist()


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ItemsError(f"{path}, line {number}: not JSON ({error})") from None
            yield row if isinstance(row, dict) else {}
