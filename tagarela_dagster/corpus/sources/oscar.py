"""OSCAR-2301: one JSON object a line, compressed with zstandard (also gzip or plain).

Format: oscar-project/documentation, docs/versions/oscar-2301.md. Its quality warnings and
``harmful_pp`` (perplexity under a model of harmful text: lower is more harmful) are kept as
signals, never used to drop here. OSCAR 22.01 called the warnings ``annotation``; both are read.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import orjson
from pydantic import Field

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.compressed import open_bounded
from tagarela_dagster.corpus.sources.damage import CompressedError
from tagarela_dagster.corpus.sources.stream import lines
from tagarela_dagster.corpus.sources.unit import RawFile, Unit
from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.sources import Source

EXCERPT = 200
"""Bytes of a bad line that are shown."""


class OscarOptions(Section):
    """Settings of an OSCAR source."""

    max_line_bytes: int = Field(default=32_000_000, ge=1_000, le=1_000_000_000)
    """Longer lines are quarantined; bounds the memory of a reader."""


class _BadRecordError(Exception):
    def __init__(self, reason: str, detail: str, quarantined: bool = True) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.quarantined = quarantined


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every line of the unit's files.

    Quarantined, with line number and byte offset in the expanded file: ``bad_json``,
    ``encoding``, ``no_content``, ``no_id``, ``too_large``, and ``truncated``, ``corrupt`` or
    ``bomb`` for a stream that cannot be read on. Left out: ``no_text`` (an empty content).
    """
    options = OscarOptions.model_validate(source.options)
    for file in unit.files:
        yield from _read_file(file, options)


def _read_file(file: RawFile, options: OscarOptions) -> Iterator[Document | Rejected]:
    number, offset = 0, 0
    with open_bounded(file.path) as stream:
        try:
            for number, line in lines(stream, options.max_line_bytes):
                start, offset = offset, stream.delivered
                where = f"line {number}, byte {start}"
                size = offset - start
                if line is None:
                    detail = f"the line has {size} bytes, at most {options.max_line_bytes}"
                    yield Rejected(file.name, where, "too_large", detail, size)
                    continue
                if not line.strip():
                    continue
                try:
                    yield _document(line)
                except _BadRecordError as bad:
                    excerpt = line[:EXCERPT].decode("utf-8", "replace")
                    yield Rejected(
                        file.name, where, bad.reason, bad.detail, size, bad.quarantined, excerpt
                    )
        except CompressedError as error:
            where = f"line {number + 1}, byte {offset}"
            lost = stream.delivered - offset
            detail = f"{error}; nothing behind it is read"
            yield Rejected(file.name, where, error.reason, detail, lost)


def _document(line: bytes) -> Document:
    record = _parse(line)
    content = record.get("content")
    if not isinstance(content, str):
        raise _BadRecordError("no_content", "the record has no 'content' text")
    headers = _mapping(record, "warc_headers")
    metadata = _mapping(record, "metadata")
    identification = _mapping(metadata, "identification")
    native_id = headers.get("warc-record-id")
    if not isinstance(native_id, str) or not native_id:
        raise _BadRecordError("no_id", "the record has no 'warc-record-id'")
    if not content.strip():
        raise _BadRecordError("no_text", "the content is empty", quarantined=False)
    meta = {
        "record": native_id,
        "refers_to": headers.get("warc-refers-to"),
        "digest": headers.get("warc-block-digest"),
        "language": identification.get("label"),
        "language_prob": identification.get("prob"),
        "quality_warnings": metadata.get("quality_warnings", metadata.get("annotation")),
        "categories": metadata.get("categories"),
        "tlsh": metadata.get("tlsh"),
    }
    harmful = metadata.get("harmful_pp")
    return Document(
        native_id=native_id,
        text=content,
        url=_text(headers.get("warc-target-uri")),
        date=_day(headers.get("warc-date")),
        meta={name: value for name, value in meta.items() if value is not None},
        quality={"harmful_pp": float(harmful)} if isinstance(harmful, int | float) else {},
    )


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as wrong:
            detail = f"no UTF-8 at byte {wrong.start} of the line"
            raise _BadRecordError("encoding", detail) from error
        raise _BadRecordError("bad_json", str(error)) from error
    if not isinstance(record, dict):
        raise _BadRecordError("bad_json", "the line is no JSON object")
    return record


def _mapping(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _day(value: Any) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None
