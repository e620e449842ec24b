"""Last-word items in CALAME-PT's format, from JSONL, CSV or Parquet.

An item is a ``sentence`` without its last word, and the ``last_word``; ``id`` and ``variety`` are
optional. A row that cannot be an item is set aside with file, place and reason; a file without
one sound item, or with another hash than the recipe pins, is an error.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import hash_file

MAX_SENTENCE_CHARACTERS = 20_000
"""A longer ``sentence`` is no item but a file in another format."""
FORMATS = (".jsonl", ".csv", ".parquet")

Row = tuple[str, Mapping[str, Any] | None, str]
"""Place, row (None when it could not be read), what is wrong with it."""


class ItemsError(ValueError):
    """A set cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Item:
    """One item. ``group`` names what items share (a document), for clustered intervals."""

    id: str
    sentence: str
    last_word: str
    variety: str | None = None
    group: str | None = None

    def as_json(self) -> dict[str, Any]:
        """JSON form, as in an items file."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class RejectedItem:
    """A row that is no item: where it is and why."""

    file: str
    place: str
    reason: str
    excerpt: str


@dataclass
class ItemSet:
    """Sound items in the file's order, and the rows set aside."""

    items: list[Item] = field(default_factory=list)
    rejected: list[RejectedItem] = field(default_factory=list)

    @property
    def reasons(self) -> dict[str, int]:
        """Rejected rows by reason, sorted."""
        names = sorted(row.reason for row in self.rejected)
        return {name: names.count(name) for name in dict.fromkeys(names)}


def read_items(path: Path, sha256: str | None = None) -> ItemSet:
    """Read an items file.

    Args:
        sha256: expected hash of the file's bytes.

    Raises:
        ItemsError: the file is missing, of another format or hash, or has no sound item.
    """
    if not path.is_file():
        raise ItemsError(f"{path} does not exist: give a JSONL, CSV or Parquet file")
    if path.suffix not in FORMATS:
        raise ItemsError(f"{path} is none of {', '.join(FORMATS)}")
    if sha256 and (found := hash_file(path)) != sha256:
        raise ItemsError(
            f"{path} has the SHA-256 {found}, the recipe pins {sha256}: it is another file; "
            "get the pinned one or change the recipe"
        )
    readers = {".jsonl": _jsonl_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}
    return collect_items(readers[path.suffix](path), path.name)


def collect_items(rows: Iterable[Row], name: str) -> ItemSet:
    """Sort rows into items and rejected rows. Raises ItemsError when no row is sound."""
    found = ItemSet()
    seen: set[str] = set()
    for place, row, problem in rows:
        item = None if row is None else _item(row, place)
        reason = problem if row is None else item if isinstance(item, str) else ""
        if isinstance(item, Item) and item.id in seen:
            reason = "duplicate_id"
        if reason or not isinstance(item, Item):
            excerpt = json.dumps(row, ensure_ascii=False, default=str)[:200] if row else ""
            found.rejected.append(RejectedItem(name, place, reason or "unreadable", excerpt))
            continue
        seen.add(item.id)
        found.items.append(item)
    if not found.items:
        why = ", ".join(f"{count} {reason}" for reason, count in found.reasons.items())
        raise ItemsError(
            f"{name} has no sound item ({why or 'it is empty'}): each row needs `sentence` and "
            "`last_word`"
        )
    return found


def choose_items(items: list[Item], most: int) -> list[Item]:
    """At most ``most`` items, in their order: those with the lowest hash of their id."""
    if len(items) <= most:
        return items
    ranked = sorted(items, key=lambda item: hashlib.sha256(item.id.encode()).digest())
    chosen = {item.id for item in ranked[:most]}
    return [item for item in items if item.id in chosen]


def write_items(items: Iterable[Item], path: Path) -> int:
    """Write items as JSONL; return how many."""
    count = 0
    with atomic_write(path) as file:
        for item in items:
            file.write(json.dumps(item.as_json(), ensure_ascii=False) + "\n")
            count += 1
    return count


def write_rejected(rows: Iterable[RejectedItem], path: Path) -> None:
    """Write rejected rows as JSONL."""
    with atomic_write(path) as file:
        for row in rows:
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")


def _item(row: Mapping[str, Any], place: str) -> Item | str:
    """The item of a row, or the reason why it is none."""
    # White space at the end would cost a byte-level tokenizer the word's first token.
    sentence, last_word = _text(row, "sentence"), _text(row, "last_word")
    if not sentence or not last_word:
        return "no_last_word" if sentence else "no_sentence"
    if "\ufffd" in sentence + last_word:
        return "encoding"
    if len(last_word.split()) != 1:
        return "several_words"
    if len(sentence) > MAX_SENTENCE_CHARACTERS:
        return "too_long"
    identifier = row.get("id")
    return Item(
        id=place if identifier is None else str(identifier),
        sentence=sentence,
        last_word=last_word,
        variety=_text(row, "variety") or None,
        group=_text(row, "group") or None,
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""


def _jsonl_rows(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            place = f"line {number}"
            try:
                row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError:
                yield place, None, "encoding"
            except ValueError:
                yield place, None, "not_json"
            else:
                yield place, row if isinstance(row, dict) else None, "no_object"


def _csv_rows(path: Path) -> Iterator[Row]:
    # Undecodable bytes become U+FFFD, which rejects their row and no other.
    text = path.read_bytes().decode("utf-8-sig", "replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = {"sentence", "last_word"} - set(reader.fieldnames or [])
    if missing:
        raise ItemsError(
            f"{path} has no column {' and '.join(sorted(missing))}; its columns are "
            f"{', '.join(reader.fieldnames or [])}"
        )
    for row in reader:
        yield f"line {reader.line_num}", row, ""


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise ItemsError(f"{path} is not a Parquet file: {error}") from None
    with file:
        number = 0
        for batch in file.iter_batches(1024):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", row, ""
