"""JSON Lines: an object a line, its fields by the recipe's mapping."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.part import Part
from tagarela_dagster.corpus.sources.formats.text_lines import EXCERPT, read_lines
from tagarela_dagster.corpus.sources.records import Record, documents


def read(part: Part) -> Iterator[Document | Rejected]:
    """Documents of a JSON Lines file; ``bad_json`` for a line that is no object."""
    yield from documents(_records(part), part.source.mapping, part.name, part.native_id)


def _records(part: Part) -> Iterator[Record | Rejected]:
    for line in read_lines(part):
        if isinstance(line, Rejected):
            yield line
            continue
        if not line.text.strip():
            continue
        try:
            fields = orjson.loads(line.text)
            problem = None if isinstance(fields, dict) else "the line is no JSON object"
        except orjson.JSONDecodeError as error:
            problem = str(error)
        if problem is None:
            yield Record(fields, line.number, line.where, line.bytes)
        else:
            excerpt = line.text[:EXCERPT]
            yield Rejected(part.name, line.where, "bad_json", problem, line.bytes, excerpt=excerpt)
