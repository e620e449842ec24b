"""CSV and TSV, streamed through Python's csv module with bounded lines and fields.

The first line names the columns, unless the recipe's ``mapping.header`` does. CSV is separated by
a comma, a semicolon or a tab, whichever the first line has most of; quoted fields may hold line
ends. TSV knows no quoting (IANA text/tab-separated-values): a quotation mark is a character.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part
from tagarela_dagster.corpus.sources.formats.text_lines import EXCERPT, Line, read_lines
from tagarela_dagster.corpus.sources.records import Record, documents, required
from tagarela_dagster.recipe.sources import Mapping

MAX_FIELD = 16_000_000
"""Characters of the longest field; a quote that is never closed ends here."""
SEPARATORS = ",;\t"


def read(part: Part) -> Iterator[Document | Rejected]:
    """Documents of a CSV file."""
    yield from _documents(part, quoted=part.options.quoted is not False)


def read_tsv(part: Part) -> Iterator[Document | Rejected]:
    """Documents of a TSV file."""
    yield from _documents(part, quoted=part.options.quoted is True)


def _documents(part: Part, quoted: bool) -> Iterator[Document | Rejected]:
    mapping = part.source.mapping
    records = rows(part, mapping.header, quoted)
    yield from documents(with_columns(records, mapping), mapping, part.name, part.native_id)


def with_columns(
    records: Iterator[Record | Rejected], mapping: Mapping
) -> Iterator[Record | Rejected]:
    """The records, after a look at whether the columns that the mapping names are there.

    Raises:
        FormatError: ``no_field``: the file has no such column.
    """
    checked = False
    for record in records:
        if not checked and isinstance(record, Record):
            missing = [key for key in required(mapping) if missing_in(record.fields, key)]
            if missing:
                raise FormatError(
                    "no_field",
                    f"no column {missing[0]!r}; there are: {', '.join(list(record.fields)[:12])}"
                    " (say in the recipe's 'mapping:' which column is the text)",
                )
            checked = True
        yield record


def missing_in(names: Collection[str], key: str) -> bool:
    """Whether a table has neither this column nor the one that its path begins with."""
    return key not in names and key.partition(".")[0] not in names


def rows(
    part: Part, header: Sequence[str] | None = None, quoted: bool = True
) -> Iterator[Record | Rejected]:
    """Rows as records; ``bad_row`` for one with too many fields, ``bad_csv`` for broken quoting.

    A row that has fewer fields than the header lacks the last ones.
    """
    csv.field_size_limit(MAX_FIELD)
    feed = _Feed(read_lines(part))
    first = feed.peek()
    if first is None:
        yield from feed.rejected()
        if not part.stream.delivered:
            raise FormatError("no_text", "the file is empty", quarantined=False)
        return
    separator = max(SEPARATORS, key=first.text.count) if quoted else "\t"
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(feed, delimiter=separator, quoting=quoting, strict=False)
    number = 0
    while True:
        feed.begin()
        problem: tuple[str, str] | None = None
        try:
            row = next(reader, None)
        except csv.Error as error:
            row, problem = [], ("bad_csv", str(error))
        yield from feed.rejected()
        if row is None:
            return
        if not row and problem is None:
            continue
        if feed.hole and problem is None:
            problem = ("bad_csv", "a line in the middle of the row cannot be read")
        if problem is None and header is None:
            header = [name.strip() for name in row]
            continue
        number += 1
        if problem is None and header is not None and len(row) > len(header):
            problem = ("bad_row", f"{len(row)} fields, but {len(header)} columns")
        if problem:
            excerpt = separator.join(row)[:EXCERPT]
            yield Rejected(part.name, feed.where, *problem, feed.bytes, excerpt=excerpt)
        else:
            yield Record(dict(zip(header or (), row, strict=False)), number, feed.where, feed.bytes)


class _Feed:
    """Lines for the csv module; keeps place and size of the row that it is reading."""

    def __init__(self, source: Iterator[Line | Rejected]) -> None:
        self._source = source
        self._bad: list[Rejected] = []
        self._ahead: Line | None = None
        self.where = "line 1"
        self.bytes = 0
        self.hole = False

    def peek(self) -> Line | None:
        self._ahead = self._next()
        return self._ahead

    def begin(self) -> None:
        self.where, self.bytes, self.hole = "", 0, False

    def rejected(self) -> Iterator[Rejected]:
        bad, self._bad = self._bad, []
        yield from bad

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._ahead or self._next()
        self._ahead = None
        if line is None:
            raise StopIteration
        self.where = self.where or line.where
        self.bytes += line.bytes
        return line.text + "\n"

    def _next(self) -> Line | None:
        for line in self._source:
            if isinstance(line, Line):
                return line
            self._bad.append(line)
            self.hole = bool(self.where)
        return None
