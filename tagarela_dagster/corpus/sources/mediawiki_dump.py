"""MediaWiki XML dumps as pages: bzip2 streams (or one), each page cut out as bytes.

A page is found by its tags, which MediaWiki's export never writes inside text (there ``<`` is
``&lt;``), and parsed on its own: memory is bounded by one page, a malformed page costs itself
only, and where bzip2 streams begin and end does not matter. Behind a damaged stream reading goes
on with the next one.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tagarela_dagster.corpus.sources.compressed import open_bounded
from tagarela_dagster.corpus.sources.damage import CompressedError, Damage

BLOCK = 262_144
MAX_PAGE = 16_000_000
"""Bytes of a page's XML. MediaWiki's limit is 2 MB of text, escaping can make it several times
as much (https://www.mediawiki.org/wiki/Manual:$wgMaxArticleSize)."""
HELD_BYTES = 8_000_000
"""Pages are held until their stream's checksum is verified, up to this much (a multistream
dump's 100 pages have some 1 to 3 MB)."""
BOMB_BYTES = 64_000_000
BOMB_RATIO = 400
"""Expanded to compressed bytes; dumps reach 5 to 30, bzip2 can reach 45,000."""

BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
"""Header of a bzip2 stream and of its first block."""

_OPEN, _CLOSE = b"<page>", b"</page>"


@dataclass(frozen=True, slots=True)
class PageXml:
    """XML of one page, from ``<page>`` to ``</page>`` when it is whole."""

    data: bytes
    offset: str


class _StreamError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class _Splitter:
    """Cuts pages out of XML that arrives in pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def inside(self) -> int:
        """Bytes of a page that has begun and not ended."""
        return len(self._buffer) if self._buffer.startswith(_OPEN) else 0

    def feed(self, data: bytes) -> Iterator[bytes | int]:
        """Whole pages; the size of one that is too large to be held."""
        searched = max(0, len(self._buffer) - len(_CLOSE))
        self._buffer += data
        while True:
            if not self._buffer.startswith(_OPEN):
                begin = self._buffer.find(_OPEN)
                if begin < 0:
                    del self._buffer[: -len(_OPEN)]
                    return
                del self._buffer[:begin]
                searched = len(_OPEN)
            close = self._buffer.find(_CLOSE, searched)
            # A page that begins before this one ends: this one's end is missing.
            following = self._buffer.find(_OPEN, max(searched, len(_OPEN)))
            end = close + len(_CLOSE) if close >= 0 else -1
            if following >= 0 and (end < 0 or following < end):
                end = following
            if end < 0:
                if len(self._buffer) > MAX_PAGE:
                    yield len(self._buffer)
                    del self._buffer[: -len(_CLOSE)]
                return
            yield bytes(self._buffer[:end])
            del self._buffer[:end]
            searched = 0

    def reset(self) -> None:
        """Forget a page that has begun."""
        self._buffer.clear()


def read_pages(path: Path, part: tuple[int, int] | None) -> Iterator[PageXml | Damage]:
    """Every page of a dump, or of the bzip2 streams in the byte range ``part`` of it."""
    with path.open("rb") as file:
        compressed = BZIP2.match(file.read(10)) or part
        if compressed:
            start, end = part or (0, path.stat().st_size)
            yield from _bzip2_pages(file, start, end)
    if not compressed:
        yield from _other_pages(path)


def _bzip2_pages(file: BinaryIO, start: int, end: int) -> Iterator[PageXml | Damage]:
    splitter = _Splitter()
    position = begin = start
    while position < end:
        held: list[PageXml | Damage] = []
        size = number = 0
        stream = _Bzip2Stream(file, position, end)
        begin = position
        try:
            for data in stream:
                for page in splitter.feed(data):
                    number += 1
                    held.append(_page(page, f"byte {begin}, page {number}"))
                    size += page if isinstance(page, int) else len(page)
                if size > HELD_BYTES:
                    yield from held
                    held, size = [], 0
            yield from held
            position = begin + stream.consumed
        except _StreamError as error:
            splitter.reset()
            position = next_stream(file, begin + 1, end)
            unused = f"; {len(held)} pages before the damage are not used" if held else ""
            detail = f"bzip2 stream in bytes {begin} to {position}: {error}{unused}"
            yield Damage(f"byte {begin}", error.reason, detail, position - begin)
    if splitter.inside:
        detail = f"the dump ends in a page, after {splitter.inside} bytes of it"
        yield Damage(f"byte {begin}", "truncated", detail, splitter.inside)


def _other_pages(path: Path) -> Iterator[PageXml | Damage]:
    """Pages of a dump that is plain, or compressed in another way."""
    splitter, number = _Splitter(), 0
    with open_bounded(path) as stream:
        try:
            while data := stream.read1(BLOCK):
                for page in splitter.feed(data):
                    number += 1
                    yield _page(page, f"page {number}")
        except CompressedError as error:
            yield Damage(f"byte {stream.delivered}", error.reason, str(error), splitter.inside)
            return
    if splitter.inside:
        yield Damage(f"page {number + 1}", "truncated", "the dump ends in a page", splitter.inside)


def _page(page: bytes | int, offset: str) -> PageXml | Damage:
    if isinstance(page, int):
        return Damage(offset, "too_large", f"a page of more than {MAX_PAGE} bytes of XML", page)
    return PageXml(page, offset)


class _Bzip2Stream:
    """Expanded blocks of the one bzip2 stream at ``start``; raises ``_StreamError``."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self.consumed = 0
        self._file = file
        self._start = start
        self._left = end - start

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(self._start)
        decompressor = bz2.BZ2Decompressor()
        expanded = 0
        while not decompressor.eof:
            block = b""
            if decompressor.needs_input:
                block = self._file.read(min(BLOCK, self._left))
                if not block:
                    raise _StreamError("truncated", "the data ends inside the stream")
                self._left -= len(block)
                self.consumed += len(block)
            try:
                data = decompressor.decompress(block, BLOCK)
            except OSError as error:
                raise _StreamError("corrupt", str(error)) from error
            expanded += len(data)
            if expanded > max(BOMB_BYTES, BOMB_RATIO * self.consumed):
                detail = f"{self.consumed} bytes expand to {expanded}"
                raise _StreamError("bomb", detail)
            if data:
                # The file may be read elsewhere before the next block.
                yield data
                self._file.seek(self._start + self.consumed)
        self.consumed -= len(decompressor.unused_data)


def next_stream(file: BinaryIO, position: int, end: int) -> int:
    """Offset of the first bzip2 stream at or after ``position``; ``end`` without one."""
    while position < end:
        file.seek(position)
        block = file.read(min(BLOCK * 16, end - position))
        match = BZIP2.search(block)
        if match:
            return position + match.start()
        if position + len(block) >= end or len(block) < 10:
            break
        position += len(block) - 9
    return end
