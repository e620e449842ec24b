"""Lines of a text file, decoded one by one, so that a broken one costs itself alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tagarela_dagster.corpus.document import Rejected
from tagarela_dagster.corpus.sources.charset import decode
from tagarela_dagster.corpus.sources.compressed import CompressedError
from tagarela_dagster.corpus.sources.formats.part import MAX_ERROR_SHARE, FormatError, Part
from tagarela_dagster.corpus.sources.stream import lines

HEAD = 100_000
"""Bytes from which the encoding of a file is found, when it is not UTF-8."""
EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end; ``number`` from 1, ``bytes`` with the line end."""

    number: int
    text: str
    where: str
    bytes: int


def read_lines(part: Part) -> Iterator[Line | Rejected]:
    """Every line; ``encoding`` and ``too_large`` lines, and the damage of the stream, rejected.

    Raises:
        FormatError: ``encoding``: UTF-16 or UTF-32, whose lines do not end in a byte.
    """
    head = part.stream.peek(HEAD)
    encoding = _encoding(head)
    number, offset = 0, 0
    try:
        for number, raw in lines(part.stream, part.options.max_line_bytes):
            start, offset = offset, part.stream.delivered
            where, size = f"line {number}, byte {start}", offset - start
            if raw is None:
                detail = f"a line of {size} bytes, at most {part.options.max_line_bytes}"
                yield Rejected(part.name, where, "too_large", detail, size)
                continue
            raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            text = _decoded(raw, encoding)
            if text is None:
                excerpt = raw[:EXCERPT].decode("utf-8", "replace")
                detail = "the line cannot be decoded"
                yield Rejected(part.name, where, "encoding", detail, size, excerpt=excerpt)
            else:
                yield Line(number, text, where, size)
    except CompressedError as error:
        where = f"line {number + 1}, byte {offset}"
        detail = f"{error}; nothing behind it is read"
        yield Rejected(part.name, where, error.reason, detail, part.stream.delivered - offset)


def _encoding(head: bytes) -> str | None:
    """Encoding of lines that are not UTF-8."""
    if b"\0" in head[:1024]:
        raise FormatError("encoding", "UTF-16, or no text at all; save it as UTF-8")
    found = decode(head[: head.rfind(b"\n") + 1] or head)
    return found.encoding if found.encoding != "utf-8" else None


def _decoded(raw: bytes, encoding: str | None) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        decoded = decode(raw, [encoding])
        return None if decoded.error_share > MAX_ERROR_SHARE or decoded.errors > 1 else decoded.text
