"""Tar archives read forward only, from any stream.

``tarfile`` takes a damaged or cut archive for one that ends there, drops the good bytes before a
cut, and holds extension headers of any size in memory. This reads headers with its parser
(``TarInfo.frombuf``) and keeps the walk itself strict: POSIX ustar, pax and GNU long names.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from tagarela_dagster.corpus.sources.compressed import BLOCK, BoundedStream
from tagarela_dagster.corpus.sources.damage import (
    BoundExceededError,
    CompressedError,
    CorruptError,
    TruncatedError,
)

MAX_HEADER_BYTES = 1_000_000
"""Bytes of the longest extension header (long name, pax record)."""

_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_GNU = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


class Content:
    """A member's bytes, read from the archive's stream; every good byte comes before an error.

    Attributes:
        left: bytes that are still to be read.
        damaged: the archive turned out to be cut or damaged within this member.
    """

    def __init__(self, stream: BoundedStream, size: int) -> None:
        self.left = size
        self.damaged = False
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Some bytes, b"" at the member's end. Raises ``CompressedError``."""
        if not self.left or not size:
            return b""
        try:
            data = self._stream.read1(min(size, self.left))
            if not data:
                raise TruncatedError("the archive ends inside a member")
        except CompressedError:
            self.damaged = True
            raise
        self.left -= len(data)
        return data

    def close(self) -> None:
        """Nothing to close: the archive's stream goes on."""


@dataclass(frozen=True, slots=True)
class TarMember:
    """A member: ``kind`` is file, folder, link, device or sparse; ``size`` in bytes."""

    name: str
    kind: str
    size: int
    content: Content


def tar_members(stream: BoundedStream) -> Iterator[TarMember]:
    """Every member in order; what of its content is not read is skipped.

    Raises:
        CompressedError: the archive is cut, damaged, or has an absurd header.
    """
    fields: dict[str, str] = {}
    shared: dict[str, str] = {}
    while True:
        block = stream.read(tarfile.BLOCKSIZE)
        if len(block) < tarfile.BLOCKSIZE:
            raise stream.failure or TruncatedError("the archive ends without its end mark")
        if not block.strip(b"\0"):
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.TarError, ValueError) as error:
            raise CorruptError(f"no tar header where one should be: {error}") from None
        if info.type in (*_PAX, *_GNU, tarfile.XGLTYPE):
            data = _extension(stream, info)
            if info.type == tarfile.GNUTYPE_LONGNAME:
                fields["path"] = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif info.type == tarfile.XGLTYPE:
                shared |= _pax_records(data)
            elif info.type in _PAX:
                fields |= _pax_records(data)
            continue
        known = shared | fields
        fields = {}
        sparse = info.type == tarfile.GNUTYPE_SPARSE or any("GNU.sparse" in key for key in known)
        extended = info.type == tarfile.GNUTYPE_SPARSE and block[482]
        while extended:
            block = stream.read(tarfile.BLOCKSIZE)
            extended = len(block) == tarfile.BLOCKSIZE and block[504]
        try:
            size = int(known.get("size", info.size))
        except ValueError:
            raise CorruptError(f"a member's size is '{known['size'][:20]}'") from None
        has_content = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
        content = Content(stream, size if has_content else 0)
        padding = -content.left % tarfile.BLOCKSIZE
        kind = "sparse" if sparse else _kind(info)
        yield TarMember(known.get("path", info.name), kind, content.left, content)
        content.left += padding
        while content.read(BLOCK):
            pass


def _extension(stream: BoundedStream, info: tarfile.TarInfo) -> bytes:
    if info.size > MAX_HEADER_BYTES:
        raise BoundExceededError(f"a tar header of {info.size} bytes")
    padded = info.size + -info.size % tarfile.BLOCKSIZE
    data = stream.read(padded)
    if len(data) < padded:
        raise stream.failure or TruncatedError("the archive ends inside a header")
    return data[: info.size]


def _pax_records(data: bytes) -> dict[str, str]:
    """Records ``LENGTH KEY=VALUE\\n`` (POSIX.1-2001, pax interchange format)."""
    records = {}
    while data.strip(b"\0"):
        length, space, _ = data.partition(b" ")
        if not space or not length.isdigit() or not 0 < int(length) <= len(data):
            raise CorruptError("a pax header is damaged")
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        text = value.decode("utf-8", "surrogateescape")
        records[key.decode("utf-8", "replace")] = text
        data = data[int(length) :]
    return records


def _kind(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "link"
    if info.isdir():
        return "folder"
    return "device" if info.isdev() else "file"
