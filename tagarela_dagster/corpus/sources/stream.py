"""Whole streams and lines of streams, each within a bound."""

from __future__ import annotations

from collections.abc import Iterator

from tagarela_dagster.corpus.sources.compressed import BLOCK, BoundedStream
from tagarela_dagster.corpus.sources.damage import BoundExceededError

MAX_LINE = 64_000_000
"""Bytes of the longest line that is held in memory."""


def read_all(stream: BoundedStream, limit: int) -> bytes:
    """The whole stream, at most ``limit`` bytes. Raises ``CompressedError``, with no data."""
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise BoundExceededError(f"more than {limit} bytes", limit)
    if stream.failure:
        raise stream.failure
    return data


def lines(stream: BoundedStream, max_line: int = MAX_LINE) -> Iterator[tuple[int, bytes | None]]:
    """Line numbers from 1 and lines without their ends; None for a line over ``max_line`` bytes.

    Raises ``CompressedError`` at a damage; a line that the damage cuts is not yielded.
    """
    number = 0
    while True:
        line = stream.readline(max_line)
        if not line:
            return
        number += 1
        if line.endswith(b"\n"):
            yield number, line.rstrip(b"\r\n")
        elif len(line) < max_line:
            if stream.failure:
                raise stream.failure
            yield number, line
        else:
            while line and not line.endswith(b"\n"):
                line = stream.readline(BLOCK)
            yield number, None
