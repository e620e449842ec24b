"""Gzip files one member at a time, with byte offsets, and a way on after a damaged member.

A WARC or ARC file holds each record in a gzip member of its own. Reading by member isolates
damage: what is wrong in one record is known by its offset, and the next record is found again by
its magic bytes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import BinaryIO

MAGIC = b"\x1f\x8b\x08"
BLOCK = 65_536
BOMB_BYTES = 64_000_000
"""A member that expands to less than this is never called a bomb."""
BOMB_RATIO = 200
"""Expanded to compressed bytes. HTML reaches 10 to 30; deflate cannot exceed 1,032."""
PROBE_BYTES = 4096
"""So much of a candidate member is decompressed to see whether it begins a record."""

_MEMBER = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL)


class MemberError(Exception):
    """A member that cannot be read to its end: ``reason`` is truncated, corrupt or bomb."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class MemberStream:
    """Decompressed bytes of the gzip member at ``start``; ``read`` returns b"" at its end.

    Attributes:
        end: offset of the byte after the member, once it was read to its end.
        consumed: compressed bytes handed to the decompressor so far; after a ``corrupt``
            exactly those up to the byte at which it failed.
    """

    def __init__(self, file: BinaryIO, start: int) -> None:
        self.start = start
        self.end: int | None = None
        self.consumed = 0
        self.expanded = 0
        self._file = file
        self._pending = b""
        self._decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
        file.seek(start)

    def read(self, size: int = BLOCK) -> bytes:
        """Up to ``size`` bytes. Raises ``MemberError``."""
        while self.end is None:
            if not self._pending:
                self._pending = self._file.read(BLOCK)
                if not self._pending:
                    raise MemberError("truncated", "the file ends inside a gzip member")
                self.consumed += len(self._pending)
            try:
                data = self._decompressor.decompress(self._pending, size)
            except zlib.error as error:
                self.consumed = self._failed_after()
                raise MemberError("corrupt", str(error)) from error
            self._pending = self._decompressor.unconsumed_tail
            if self._decompressor.eof:
                self.consumed -= len(self._decompressor.unused_data)
                self.end = self.start + self.consumed
            self.expanded += len(data)
            if self.expanded > max(BOMB_BYTES, BOMB_RATIO * self.consumed):
                raise MemberError("bomb", f"{self.consumed} bytes expand to {self.expanded}")
            if data:
                return data
        return b""

    def drain(self) -> int:
        """Read to the member's end (its checksum is verified there); the offset after it."""
        while self.read():
            pass
        assert self.end is not None
        return self.end

    def _failed_after(self) -> int:
        """Compressed bytes up to and with the one that the decompressor refuses."""
        self._file.seek(self.start)
        decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
        read = 0
        while block := self._file.read(1024):
            before = decompressor.copy()
            try:
                decompressor.decompress(block)
            except zlib.error:
                for number in range(len(block)):
                    try:
                        before.decompress(block[number : number + 1])
                    except zlib.error:
                        return read + number + 1
            read += len(block)
        return read


def is_gzip(file: BinaryIO, offset: int) -> bool:
    """Whether a gzip member begins at ``offset``."""
    file.seek(offset)
    return file.read(3) == MAGIC


def next_member(file: BinaryIO, offset: int, begins: Callable[[bytes], bool]) -> int | None:
    """Offset of the first member at or after ``offset`` whose content ``begins`` accepts.

    The three magic bytes also occur inside compressed data, hence the look at the content.
    """
    position = offset
    while True:
        file.seek(position)
        block = file.read(BLOCK * 16)
        for match in _MEMBER.finditer(block):
            found = position + match.start()
            file.seek(found)
            try:
                head = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(
                    file.read(PROBE_BYTES), PROBE_BYTES
                )
            except zlib.error:
                continue
            if begins(head):
                return found
        if len(block) < BLOCK * 16:
            return None
        position += len(block) - 3
