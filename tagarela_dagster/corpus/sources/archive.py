"""Members of tar and zip archives as streams, without ever extracting to disk.

``entries`` makes one thing of a plain file, a compressed file, and an archive of either: a name
and a stream of expanded bytes. An archive from the network is not trusted: nothing is written,
links and devices are not followed, names that leave the archive are refused, and each member and
the whole are bounded. Tar is read as it streams by; zip needs its directory, hence a real file.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from tagarela_dagster.corpus.document import Rejected
from tagarela_dagster.corpus.sources.compressed import (
    BOMB_BYTES,
    MAX_RATIO,
    BoundedStream,
    open_bounded,
)
from tagarela_dagster.corpus.sources.damage import (
    BoundExceededError,
    CompressedError,
    CorruptError,
    TruncatedError,
)
from tagarela_dagster.corpus.sources.tar import tar_members
from tagarela_dagster.corpus.sources.unit import RawFile

MAX_MEMBER_BYTES = 256_000_000
"""Expanded bytes of the largest archive member that is read."""

_DRIVE = re.compile(r"^[A-Za-z]:")
_TAR_NAME = re.compile(r"\.tar(?:\.\w+)?$|\.t[gbx]z2?$|\.tzst$", re.IGNORECASE)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED = 0x1
Wanted = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, whether it lies in a folder or in an archive.

    Attributes:
        name: the file's name, or ``archive!member``; compression suffixes stay.
        path: the same without the archive's part (what a member is called in its archive).
        stream: expanded bytes; to be read before the next entry is asked for.
    """

    name: str
    path: str
    stream: BoundedStream


def entries(
    file: RawFile, wanted: Wanted | None = None, max_member: int = MAX_MEMBER_BYTES
) -> Iterator[Entry | Rejected]:
    """Every entry of a raw file, and a rejection for each member that must not or cannot be read.

    Args:
        file: plain, compressed (gz, bz2, xz, zst), tar (in any of these) or zip.
        wanted: member names that are asked for; others are passed over in silence.
        max_member: bound of one archive member; a file that is no archive has none but that of
            ``open_bounded``, since it streams.

    Reading an entry's stream raises ``CompressedError`` where the member or the archive is
    damaged; after damage to the archive itself there are no more entries. Reasons:
    ``unsafe_member``, ``nested_archive``, ``too_large``, ``encrypted``, ``bomb``, ``truncated``,
    ``corrupt``.
    """
    with open_bounded(file.path) as stream:
        head = stream.peek(512)
        if stream.kind is None and head.startswith(_ZIP):
            yield from _zip_entries(file, wanted, max_member)
        elif head[257:262] == b"ustar" or _TAR_NAME.search(file.name):
            yield from _tar_entries(file, stream, wanted, max_member)
        else:
            yield Entry(file.name, file.name, stream)


def unsafe_name(name: str) -> str | None:
    """Why a member's name must not be trusted, None when it is a plain relative path."""
    if not name or "\0" in name:
        return "it has no usable name"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "its path is absolute"
    if ".." in re.split(r"[/\\]", name):
        return "its path leaves the archive"
    return None


def rejected(error: CompressedError, name: str) -> Rejected:
    """The rejection that tells of a damaged stream."""
    return Rejected(name, f"byte {error.good_bytes}", error.reason, str(error), error.good_bytes)


def reject_file(
    entry: Entry, payload: bytes, reason: str, detail: str, quarantined: bool = True
) -> Rejected:
    """The rejection of a whole entry, with its beginning to look at."""
    excerpt = payload[:200].decode("utf-8", "replace")
    return Rejected(entry.name, "byte 0", reason, detail, len(payload), quarantined, excerpt)


def _tar_entries(
    file: RawFile, stream: BoundedStream, wanted: Wanted | None, max_member: int
) -> Iterator[Entry | Rejected]:
    try:
        for member in tar_members(stream):
            name, size = f"{file.name}!{_printable(member.name)}", member.size
            why = unsafe_name(member.name)
            if member.kind in ("link", "device", "sparse"):
                why = f"it is a {member.kind}"
            if why:
                yield Rejected(name, "byte 0", "unsafe_member", why, size)
            elif member.kind == "folder" or (wanted and not wanted(member.name)):
                continue
            elif size > max_member:
                yield _too_large(name, size, max_member)
            else:
                content = cast(BinaryIO, member.content)
                yield from _member(name, _printable(member.name), content, max_member)
                if member.content.damaged:
                    return
    except CompressedError as error:
        error.good_bytes = stream.delivered
        yield rejected(error, file.name)


def _zip_entries(
    file: RawFile, wanted: Wanted | None, max_member: int
) -> Iterator[Entry | Rejected]:
    try:
        with open_zip(file.path) as archive:
            for info in zip_members(archive):
                if wanted is None or wanted(info.filename):
                    yield from zip_entry(archive, info, file.name, max_member)
    except CompressedError as error:
        yield rejected(error, file.name)


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive.

    Raises:
        TruncatedError: it has no directory (its end is missing).
        BoundExceededError: its members together expand like a bomb.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise TruncatedError(f"no whole zip archive: {error}") from error
    total, size = sum(info.file_size for info in archive.infolist()), path.stat().st_size
    if total > BOMB_BYTES and total > MAX_RATIO * size:
        archive.close()
        raise BoundExceededError(f"{size} bytes expand to {total}")
    return archive


def zip_members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Members in the order in which their data lies in the file; folders are left out."""
    found = (info for info in archive.infolist() if not info.is_dir())
    return sorted(found, key=lambda info: (info.header_offset, info.filename))


def zip_entry(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: str, max_member: int = MAX_MEMBER_BYTES
) -> Iterator[Entry | Rejected]:
    """One zip member as an entry, or the reason why not. ``file`` is the archive's name."""
    name, size = f"{file}!{_printable(info.filename)}", info.file_size
    why = unsafe_name(info.orig_filename)
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        why = "it is a link or a device"
    if why:
        yield Rejected(name, "byte 0", "unsafe_member", why, size)
    elif info.flag_bits & _ENCRYPTED:
        yield Rejected(name, "byte 0", "encrypted", "the member has a password", size)
    elif size > max_member:
        yield _too_large(name, size, max_member)
    elif info.header_offset < 0:
        # Bytes are missing before the directory; Python would seek before the file's start.
        yield rejected(CorruptError("the member lies before the archive's start"), name)
    else:
        try:
            content = cast(BinaryIO, _ZipContent(archive.open(info)))
        except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, struct.error) as error:
            yield rejected(CorruptError(f"the member cannot be opened: {error}"), name)
            return
        yield from _member(name, _printable(info.filename), content, max_member)


class _ZipContent:
    """A zip member's bytes; a checksum or format error becomes a ``CompressedError``."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        try:
            # ``read1`` hands out what it has: the good bytes before a damage are not lost.
            return cast(bytes, self._file.read1(size))  # type: ignore[attr-defined]
        except EOFError as error:
            raise TruncatedError("the archive ends inside a member") from error
        except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise CorruptError(f"the member is damaged: {error}") from error

    def close(self) -> None:
        self._file.close()


def _member(name: str, path: str, content: BinaryIO, max_member: int) -> Iterator[Entry | Rejected]:
    with BoundedStream(content, max_bytes=max_member) as stream:
        head = stream.peek(512)
        if head.startswith(_ZIP) or head[257:262] == b"ustar":
            detail = "an archive inside an archive is not opened"
            yield Rejected(name, "byte 0", "nested_archive", detail)
        else:
            yield Entry(name, path, stream)


def _too_large(name: str, size: int, most: int) -> Rejected:
    return Rejected(name, "byte 0", "too_large", f"{size} bytes, at most {most}", size)


def _printable(name: str) -> str:
    """A member's name in valid Unicode; odd bytes become escapes, so names stay distinct."""
    return name.encode("utf-8", "backslashreplace").decode()
