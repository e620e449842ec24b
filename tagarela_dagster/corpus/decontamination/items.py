"""Benchmark items as text: what is searched for in the corpus."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class BenchmarkError(ValueError):
    """A benchmark file cannot be searched for; the message names the file and the line."""


@dataclass(frozen=True)
class BenchmarkItem:
    """One item of a benchmark.

    Attributes:
        id: as in the results of the task's scores.
        texts: its parts as a document would contain them (a passage, a question); a common run
            lies within one of them.
    """

    task: str
    id: str
    texts: tuple[str, ...]


def read_benchmark_items(paths: Iterable[Path]) -> Iterator[BenchmarkItem]:
    """Items of JSONL files named after their task (``TASK.jsonl``).

    A line is an object with ``sentence`` and ``last_word`` (read as one text), or with ``text``: a
    string, or a list of strings for an item in parts. Without ``id``, an item is its line:
    ``line 3``. Empty lines are passed over.

    Raises:
        BenchmarkError: a line is no such object, or a task has an id twice.
    """
    for path in paths:
        seen: dict[str, int] = {}
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                item = _item(path, number, line)
                if item.id in seen:
                    raise BenchmarkError(
                        f"{path}, line {number}: the id {item.id!r} is also on line "
                        f"{seen[item.id]}; ids must be distinct, for scores are told apart by them"
                    )
                seen[item.id] = number
                yield item


def _item(path: Path, number: int, line: bytes) -> BenchmarkItem:
    where = f"{path}, line {number}"
    try:
        row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except ValueError as error:
        raise BenchmarkError(f"{where}: not JSON in UTF-8 ({error})") from None
    if not isinstance(row, dict):
        raise BenchmarkError(f"{where}: an item is a JSON object, not {type(row).__name__}")
    identifier = row.get("id")
    return BenchmarkItem(
        path.stem, f"line {number}" if identifier is None else str(identifier), _texts(row, where)
    )


def _texts(row: Mapping[str, Any], where: str) -> tuple[str, ...]:
    if "text" in row:
        texts = row["text"] if isinstance(row["text"], list) else [row["text"]]
    elif "sentence" in row and "last_word" in row:
        texts = [row["sentence"], row["last_word"]]
    else:
        raise BenchmarkError(
            f"{where}: an item needs `text`, or `sentence` and `last_word`; it has "
            f"{', '.join(row) or 'nothing'}"
        )
    wrong = [text for text in texts if not isinstance(text, str)]
    if wrong or not texts:
        raise BenchmarkError(
            f"{where}: {json.dumps(wrong[0] if wrong else texts)} stands where a text should"
        )
    return tuple(texts) if "text" in row else (" ".join(texts),)
