"""Records of WARC and ARC files, gzipped by record, gzipped whole, or plain; damage included.

warcio parses the records' headers; this module feeds it one gzip member (or one plain stream) at
a time, bounds what it holds, hands a record on only when the bytes behind it prove it complete,
and goes on behind damage at the next place where a record begins.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from warcio.bufferedreaders import BufferedReader
from warcio.recordloader import ArcWarcRecord, ArcWarcRecordLoader
from warcio.statusandheaders import StatusAndHeadersParser

from tagarela_dagster.corpus.sources.damage import Damage
from tagarela_dagster.corpus.sources.gzip_members import (
    BLOCK,
    MemberError,
    MemberStream,
    is_gzip,
    next_member,
)
from tagarela_dagster.corpus.sources.warc_lines import begins_record, next_record, tidy

MAX_LINE = 65_536
MAX_HEADERS = 1_000_000
"""Bytes of all header lines of one record; more is no record."""

_LISTS = ("x-robots-tag", "content-usage", "content-signal")
"""Headers that hold lists: repeated ones are joined (RFC 9110, section 5.3)."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One complete record.

    Attributes:
        arc: whether it stands in an ARC file.
        kind: WARC-Type; ``response`` or ``arc_header`` in ARC files.
        headers: the record's headers, names in lower case.
        status: HTTP status code as text, None without an HTTP head.
        http: HTTP headers, names in lower case; of repeated ones the first, lists joined.
        body: what follows the headers as stored, cut after ``max_body`` bytes.
        length: bytes of the whole block (HTTP head and body).
        complete: False when ``body`` was cut.
        offset: where the record begins, in words.
    """

    arc: bool
    kind: str
    headers: dict[str, str]
    status: str | None
    http: dict[str, str]
    body: bytes
    length: int
    complete: bool
    offset: str

    @property
    def url(self) -> str:
        """Address of what was captured, "" when the record names none."""
        return self.headers.get("uri" if self.arc else "warc-target-uri", "")


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a stream was left, and where in it the record that failed begins."""

    start: int
    reason: str
    detail: str


class _Reader(BufferedReader):
    """warcio's line reader, with bounds on header lines."""

    budget = MAX_HEADERS

    def readline(self, length: int | None = None) -> bytes:
        line: bytes = super().readline(MAX_LINE if length is None else min(length, MAX_LINE))
        self.budget -= len(line)
        if self.budget < 0:
            raise ValueError(f"more than {MAX_HEADERS} bytes of headers")
        return line

    def position(self) -> int:
        """Bytes taken out so far."""
        return int(self.tell() - self.rem_length())


def read_records(path: Path, max_body: int, start: int = 0) -> Iterator[RawRecord | Damage]:
    """Every record of the file in order, from the gzip member at ``start``.

    Raises:
        OSError: the disk's; nothing else is raised.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if not size:
            yield Damage("byte 0", "empty_file", "the file has no bytes", 0)
        elif start or is_gzip(file, 0):
            yield from _gzip_records(file, start, size, max_body)
        elif _begins_plain(file) or (first := next_member(file, 0, begins_record)) is None:
            yield from _plain_records(file, size, max_body)
        else:
            # A gzipped file whose first bytes are damaged.
            yield Damage("byte 0", "garbage", "no gzip member begins here", first)
            yield from _gzip_records(file, first, size, max_body)


def _begins_plain(file: BinaryIO) -> bool:
    file.seek(0)
    return begins_record(file.read(MAX_LINE).lstrip())


def _gzip_records(
    file: BinaryIO, position: int, size: int, max_body: int
) -> Iterator[RawRecord | Damage]:
    while position < size:
        start = position
        stream = MemberStream(file, start)
        try:
            failure = yield from _parse(_Reader(stream, BLOCK), start, max_body, gzip=True)
            position = stream.drain()
            if failure:
                where = _where(start, failure.start, gzip=True)
                yield Damage(where, failure.reason, failure.detail, position - start)
            if position < size and not is_gzip(file, position):
                garbage = position
                position = _or_end(next_member(file, garbage, begins_record), size)
                detail = "no gzip member begins here"
                yield Damage(f"byte {garbage}", "garbage", detail, position - garbage)
        except MemberError as error:
            position = _or_end(next_member(file, start + 1, begins_record), size)
            # The decompressor ran into the next member: this one was cut, not altered.
            cut = error.reason == "corrupt" and position < start + stream.consumed
            reason = "truncated" if cut else error.reason
            yield Damage(f"byte {start}", reason, f"gzip member: {error}", position - start)


def _plain_records(file: BinaryIO, size: int, max_body: int) -> Iterator[RawRecord | Damage]:
    position = 0
    while position < size:
        file.seek(position)
        failure = yield from _parse(_Reader(file, BLOCK), position, max_body, gzip=False)
        if failure is None:
            return
        failed = position + failure.start
        position = next_record(file, failed, size)
        yield Damage(f"byte {failed}", failure.reason, failure.detail, position - failed)


def _parse(
    reader: _Reader, base: int, max_body: int, gzip: bool
) -> Generator[RawRecord | Damage, None, _Failure | None]:
    """Yield the records of one stream; return why it stopped before the stream's end, if so."""
    loader = ArcWarcRecordLoader(verify_http=False, arc2warc=False)
    pending: RawRecord | None = None
    start = 0
    while True:
        reader.budget = MAX_HEADERS
        try:
            line = reader.readline()
            while line and not line.strip():
                line = reader.readline()
        except ValueError as error:
            return _Failure(start, "bad_record", str(error))
        if line and not begins_record(line):
            if pending is not None:
                return _Failure(start, "bad_length", "no record begins where this one should end")
            return _Failure(start, "bad_record", "no WARC or ARC record begins here")
        if pending is not None:
            yield pending
        if not line:
            return None
        start = reader.position() - len(line)
        try:
            raw = loader.parse_record_stream(reader, tidy(line), no_record_parse=True)
            if raw.length is None:
                return _Failure(start, "bad_record", "the record has no Content-Length")
            block = raw.raw_stream.read(max_body)
            length = len(block)
            while data := raw.raw_stream.read(BLOCK):
                length += len(data)
            if length < raw.length:
                missing = f"{raw.length - length} of {raw.length} bytes are missing"
                return _Failure(start, "truncated", missing)
            pending = _record(raw, block, length, _where(base, start, gzip))
        except MemberError:
            raise
        except Exception as error:
            # Whatever a third party's parser raises on such bytes, they are no record.
            return _Failure(start, "bad_record", f"{type(error).__name__}: {error}"[:300])


def _record(raw: ArcWarcRecord, block: bytes, length: int, offset: str) -> RawRecord:
    status, http, body = None, {}, block
    if raw.rec_type == "response" and block.startswith(b"HTTP/"):
        stream = BytesIO(block)
        head = StatusAndHeadersParser([], verify=False).parse(stream)
        status, http, body = head.get_statuscode(), _lower(head.headers), block[stream.tell() :]
    return RawRecord(
        arc=raw.format == "arc",
        kind=raw.rec_type or "unknown",
        headers=_lower(raw.rec_headers.headers),
        status=status,
        http=http,
        body=body,
        length=length,
        complete=length == len(block),
        offset=offset,
    )


def _lower(headers: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        if name in _LISTS and name in found:
            found[name] += f", {value}"
        else:
            found.setdefault(name, value)
    return found


def _where(base: int, start: int, gzip: bool) -> str:
    if not gzip:
        return f"byte {base + start}"
    return f"byte {base}" + (f", byte {start} of its content" if start else "")


def _or_end(position: int | None, size: int) -> int:
    return size if position is None else position
