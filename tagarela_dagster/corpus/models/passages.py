"""Training text: passages of labelled documents, of all lengths, spread over a source.

Documents are cut into passages whose length is drawn (by a hash) between a sentence and a page, so
that a model learns short texts as well as long ones. Of a source with more text than its budget,
passages are taken by the same hash: a pure function of ids and texts, whatever the shards.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from xxhash import xxh64_intdigest

from tagarela_dagster.corpus.shards import read_batches
from tagarela_dagster.corpus.sources.discover import source_folder
from tagarela_dagster.corpus.urls import host_of
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.recipe.models import LabelledFile

SHORTEST, LONGEST = 60, 3_000
"""Characters of a passage, drawn evenly on a logarithmic scale."""
HASH_RANGE = 1 << 64


@dataclass(frozen=True)
class Passage:
    """A piece of a document."""

    text: str
    label: str
    source: str
    document: str


@dataclass(frozen=True)
class Row:
    """What labels look at."""

    id: str
    text: str
    variety: str | None
    url: str | None


Label = Callable[[Row], str | None]


def source_passages(
    name: str, shards: Sequence[Path], label: Label, max_bytes: float
) -> Iterator[Passage]:
    """Passages of the labelled documents of one source, about ``max_bytes`` of text."""
    share = max_bytes / max(1, sum(map(text_size, shards)))
    for row in rows(shards):
        found = label(row)
        if found is not None:
            for text in cut(row.id, row.text, share):
                yield Passage(text, found, name, row.id)


def file_passages(
    section: LabelledFile, classes: Sequence[str], max_bytes: float
) -> Iterator[Passage]:
    """Passages of a labelled file, about ``max_bytes`` of text.

    Raises:
        ValueError: the file has another hash than the recipe says, or a line has no such field.
    """
    path = source_folder(section.path)
    if section.sha256 and (found := hash_file(path)) != section.sha256:
        raise ValueError(f"{path} has the hash {found}, the recipe wants {section.sha256}")
    name = section.name or path.name.partition(".")[0]
    documents: dict[tuple[str, str], list[str]] = {}
    for group, label, text in _labelled(path, section):
        if label in classes and text:
            documents.setdefault((group, label), []).append(text)
    share = max_bytes / max(1, sum(len(t.encode()) for d in documents.values() for t in d))
    for (group, label), lines in documents.items():
        identifier = f"{name}:{group}"
        for text in cut(identifier, "\n".join(lines), share):
            yield Passage(text, label, name, identifier)


def _labelled(path: Path, section: LabelledFile) -> Iterator[tuple[str, str, str]]:
    """(group, label, text) of the lines of a file; of JSON, every string below a top-level key."""
    open_file = gzip.open if path.suffix == ".gz" else open
    with open_file(path, "rt", encoding="utf-8") as file:
        if path.name.endswith((".json", ".json.gz")):
            yield from ((group, section.value or "", text) for group, text in _strings(file.read()))
            return
        for number, line in enumerate(file, 1):
            try:
                record = json.loads(line)
                label = section.value or record[section.label]
                group = record[section.group] if section.group else number
                yield str(group), str(label), str(record[section.text])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}, line {number}: {error!r}; expected a JSON object with "
                    f"{section.text!r} and {section.label!r}"
                ) from None


def _strings(content: str) -> Iterator[tuple[str, str]]:
    """Strings of a JSON tree and the number, as text, of their fifty: pieces of an interface."""
    open_values, number = [json.loads(content)], 0
    while open_values:
        value = open_values.pop()
        if isinstance(value, str):
            yield str(number // 50), value
            number += 1
        elif isinstance(value, dict):
            open_values += reversed(list(value.values()))
        elif isinstance(value, list):
            open_values += reversed(value)


def by_variety(classes: Sequence[str], weak_domains: bool) -> Label:
    """A document's own variety, or what its host's top-level domain makes likely."""
    domains = {"pt": "pt-PT", "br": "pt-BR"}

    def label(row: Row) -> str | None:
        found = row.variety
        if found is None and weak_domains and row.url:
            host = host_of(row.url) or ""
            found = domains.get(host.rpartition(".")[2])
        return found if found in classes else None

    return label


def rows(shards: Iterable[Path]) -> Iterator[Row]:
    """Rows of document shards."""
    columns = ["id", "text", "variety", "url"]
    for path in shards:
        for batch in read_batches(path, columns):
            values = (batch.column(column).to_pylist() for column in columns)
            yield from (Row(*row) for row in zip(*values, strict=True))


def cut(
    identifier: str, text: str, share: float, longest: int = LONGEST, by_line: bool = False
) -> Iterator[str]:
    """Passages of a text, about ``share`` of them, cut at spaces or (``by_line``) line ends."""
    start, number = 0, 0
    while start < len(text):
        drawn = xxh64_intdigest(f"{identifier}:{number}")
        length = SHORTEST * (longest / SHORTEST) ** ((drawn & 0xFFFFFF) / 0x1000000)
        end = start + int(length)
        line = text.find("\n", end, end + longest) if by_line else -1
        end = line if line >= 0 else _space(text, end)
        if (drawn >> 24) / (HASH_RANGE >> 24) < share and (piece := text[start:end].strip()):
            yield piece
        start, number = end, number + 1


def _space(text: str, position: int, reach: int = 100) -> int:
    """The next white space at or after a position, within reach."""
    end = min(len(text), position + reach)
    while position < end and not text[position].isspace():
        position += 1
    return min(position, len(text))


def text_size(path: Path) -> int:
    """Bytes of a shard's text, from its footer alone (within a few percent)."""
    footer = pq.read_metadata(path)
    column = footer.schema.names.index("text")
    groups = (footer.row_group(i) for i in range(footer.num_row_groups))
    return sum(group.column(column).total_uncompressed_size for group in groups)
