"""Compressed files as streams: gzip, bzip2, xz and zstandard by their first bytes, or plain.

Python's own openers lose the data before a truncation (what their buffer held) and expand
whatever they are given. Here the good bytes come first and the error after them, and a
decompression bomb is stopped by its size or its ratio before it fills memory or disk. Several
gzip members, bzip2 or xz streams or zstandard frames in a row are one stream.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from tagarela_dagster.corpus.sources.damage import (
    BoundExceededError,
    CompressedError,
    CorruptError,
    TruncatedError,
)

MAX_BYTES = 200_000_000_000
"""Default bound of one stream; the largest known source file expands to some 20 GB."""
MAX_RATIO = 200.0
"""Expanded to compressed bytes. Text reaches 3 to 30; deflate alone can reach 1,032."""
BOMB_BYTES = 64_000_000
"""A stream that expands to less than this is never called a bomb for its ratio."""
BLOCK = 131_072
XZ_MEMORY = 300_000_000
"""Bytes an xz stream may ask for; ``xz -9`` asks for 65 MB."""

_ZSTD_BLOCK = 1024
"""zstandard has no bound on a call's output: so many bytes expand to 32 MB at most."""
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"


def compression(head: bytes) -> str | None:
    """``gz``, ``bz2``, ``xz`` or ``zst`` by a file's first 6 bytes, None for anything else."""
    if head.startswith(_GZIP):
        return "gz"
    if head.startswith(_BZIP2) and head[3:4].isdigit():
        return "bz2"
    if head.startswith(_XZ):
        return "xz"
    skippable = len(head) >= 4 and head[0] & 0xF0 == 0x50 and head[1:4] == b"\x2a\x4d\x18"
    return "zst" if head.startswith(_ZSTD) or skippable else None


class BoundedStream(BufferedIOBase):
    """Expanded bytes of a stream; every good byte is delivered before an error is raised.

    Attributes:
        kind: compression, None for a plain stream.
        failure: the error that the next read without data will raise, once it is known.
        delivered: expanded bytes handed out so far (the offset of the next byte).
    """

    def __init__(
        self, raw: BinaryIO, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO
    ) -> None:
        self.failure: CompressedError | None = None
        self.delivered = 0
        self._raw = raw
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        self._buffer = bytearray()
        self._start = 0
        self._consumed = 0
        self._expanded = 0
        self._ended = False
        self._pending = b""
        try:
            self._pending = self._take(BLOCK)
        except CompressedError as error:
            self._fail(error)
        self.kind = compression(self._pending[:6])
        self._decoder: Any = _decoder(self.kind) if self.kind else None

    def readable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Expanded bytes handed out so far."""
        return self.delivered

    def read(self, size: int | None = -1, /) -> bytes:
        """``size`` bytes, fewer only at the end or before a damage; raises what is ``failure``."""
        wanted = None if size is None or size < 0 else size
        while (wanted is None or self._held < wanted) and self._fill():
            pass
        return self._deliver(self._held if wanted is None else min(wanted, self._held), wanted)

    def read1(self, size: int = -1, /) -> bytes:
        """What is at hand, at most ``size`` bytes."""
        if not self._held:
            self._fill()
        return self._deliver(self._held if size < 0 else min(size, self._held), size)

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes, or what there is of them, without handing them out."""
        while self._held < size and self._fill():
            pass
        return bytes(memoryview(self._buffer)[self._start : self._start + size])

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer``."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line, at most ``size`` bytes of it; a cut line comes without its line end."""
        limit = -1 if size is None else size
        searched = 0
        while True:
            end = self._buffer.find(b"\n", self._start + searched)
            if end >= 0:
                length = end + 1 - self._start
                return self._deliver(length if limit < 0 else min(length, limit), None)
            searched = self._held
            if 0 <= limit <= searched:
                return self._deliver(limit, None)
            if not self._fill():
                return self._deliver(self._held, None)

    def close(self) -> None:
        """Close the stream and what it reads from."""
        if not self.closed:
            self._raw.close()
        super().close()

    @property
    def _held(self) -> int:
        return len(self._buffer) - self._start

    def _deliver(self, length: int, wanted: int | None) -> bytes:
        if not length and wanted != 0 and self.failure:
            raise self.failure
        data = bytes(memoryview(self._buffer)[self._start : self._start + length])
        self._start += length
        self.delivered += length
        if self._start > 4 * BLOCK:
            del self._buffer[: self._start]
            self._start = 0
        return data

    def _take(self, size: int) -> bytes:
        data = self._raw.read(size)
        self._consumed += len(data)
        return data

    def _fill(self) -> bool:
        """Add expanded bytes to the buffer; False at the end or at a damage."""
        while not self._ended:
            try:
                data = self._expand() if self.kind else self._plain()
            except CompressedError as error:
                # The stream below (an archive) is damaged; what came before it is good.
                error.good_bytes = self._expanded
                return self._fail(error)
            except (zlib.error, OSError, lzma.LZMAError, zstandard.ZstdError, EOFError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                return self._fail(CorruptError(f"{self.kind} data: {error}", self._expanded))
            if data is None:
                return False
            self._expanded += len(data)
            excess = self._excess()
            if excess:
                return self._fail(BoundExceededError(excess, self._expanded - len(data)))
            if data:
                self._buffer += data
                return True
        return False

    def _excess(self) -> str | None:
        if self._expanded > self._max_bytes:
            return f"expands to more than {self._max_bytes} bytes"
        ratio = self._expanded / max(self._consumed - len(self._pending), 1)
        if self.kind and self._expanded > BOMB_BYTES and ratio > self._max_ratio:
            return f"{self._consumed} bytes expand to {self._expanded}, {ratio:.0f} times as many"
        return None

    def _fail(self, error: CompressedError) -> bool:
        self.failure = error
        self._ended = True
        return False

    def _plain(self) -> bytes | None:
        data, self._pending = self._pending or self._take(BLOCK), b""
        self._ended = not data
        return data or None

    def _expand(self) -> bytes | None:
        """Some expanded bytes (perhaps none yet), None at the end of the stream."""
        if self._decoder.eof and not self._next_member():
            return None
        waiting = getattr(self._decoder, "needs_input", None) is False
        if not self._pending and not waiting:
            self._pending = self._take(BLOCK)
            if not self._pending:
                # A decoder may hold back output that needs no more input.
                self._fail(TruncatedError(f"the {self.kind} data is cut", self._expanded))
                return None
        if self.kind == "zst":
            # ``unused_data`` below puts back what follows the frame's end.
            block, rest = self._pending[:_ZSTD_BLOCK], self._pending[_ZSTD_BLOCK:]
            data = self._decoder.decompress(block)
            self._pending = (self._decoder.unused_data if self._decoder.eof else b"") + rest
        elif self.kind == "gz":
            data = self._decoder.decompress(self._pending, BLOCK)
            left = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
            self._pending = left
        else:
            data = self._decoder.decompress(b"" if waiting else self._pending, BLOCK)
            if self._decoder.eof:
                self._pending = self._decoder.unused_data
            elif not waiting:
                self._pending = b""
        return cast(bytes, data)

    def _next_member(self) -> bool:
        """Go on with the member that follows; False at the end (zero padding is none)."""
        self._pending = self._pending.lstrip(b"\0")
        while len(self._pending) < 6 and (more := self._take(BLOCK)):
            self._pending = (self._pending + more).lstrip(b"\0")
        if not self._pending:
            self._ended = True
            return False
        if compression(self._pending[:6]) != self.kind:
            if len(self._pending) < 6:
                return self._fail(TruncatedError(f"the {self.kind} data is cut", self._expanded))
            detail = f"{self.kind} data: something else follows its end"
            return self._fail(CorruptError(detail, self._expanded))
        self._decoder = _decoder(self.kind)
        return True


def _decoder(kind: str | None) -> Any:
    if kind == "gz":
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if kind == "bz2":
        return bz2.BZ2Decompressor()
    if kind == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
    return zstandard.ZstdDecompressor().decompressobj()


def open_bounded(
    path: Path, *, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO
) -> BoundedStream:
    """Open a plain or compressed file for reading its expanded bytes.

    Reads raise ``BoundExceededError``, ``TruncatedError`` or ``CorruptError`` after the last good
    byte; ``OSError`` is the disk's.
    """
    file = path.open("rb")
    try:
        return BoundedStream(file, max_bytes, max_ratio)
    except BaseException:
        file.close()
        raise


def bounded(
    raw: BinaryIO, *, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO
) -> BoundedStream:
    """The same over a stream that is open already (an archive member, a response)."""
    return BoundedStream(raw, max_bytes, max_ratio)
