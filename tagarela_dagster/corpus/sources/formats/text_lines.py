"""Lines of a text file, decoded one by one, so that a broken one costs itself alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tagarela_dagster.corpus.document import Rejected
from tagarela_dagster.corpus.sources.damage import CompressedError
from tagarela_dagster.corpus.sources.decoding import EncodingError, decode_line
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part
from tagarela_dagster.corpus.sources.stream import lines

HEAD = 1024
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
    if b"\0" in part.stream.peek(HEAD):
        raise FormatError("encoding", "UTF-16, or no text at all; save it as UTF-8")
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
            try:
                yield Line(number, decode_line(raw).text, where, size)
            except EncodingError as error:
                excerpt = raw[:EXCERPT].decode("utf-8", "replace")
                yield Rejected(part.name, where, "encoding", str(error), size, excerpt=excerpt)
    except CompressedError as error:
        where = f"line {number + 1}, byte {offset}"
        detail = f"{error}; nothing behind it is read"
        yield Rejected(part.name, where, error.reason, detail, part.stream.delivered - offset)
