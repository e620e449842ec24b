"""The line with which a record of a WARC or ARC file begins."""

from __future__ import annotations

import re
from typing import BinaryIO

from tagarela_dagster.corpus.sources.gzip_members import BLOCK

_WARC_LINE = rb"WARC/[01]\.\d{1,2}\r?\n"
_ARC_LINE = (
    rb"([a-z][a-z0-9+.-]{1,20}:[^\n]{0,8000}?) ([0-9A-Fa-f.:]{3,45}) (\d{8,17})"
    rb" ([^\n]{1,300}) (\d{1,12})\r?\n"
)
_BEGINS = re.compile(rb"(?:" + _WARC_LINE + rb"|" + _ARC_LINE + rb")")
_BEGINS_LINE = re.compile(rb"(?<=\n)" + _BEGINS.pattern)
_ARC = re.compile(_ARC_LINE)
_OVERLAP = 10_000


def begins_record(head: bytes) -> bool:
    """Whether ``head`` begins with the first line of a WARC or ARC record."""
    return _BEGINS.match(head) is not None


def tidy(line: bytes) -> bytes:
    """An ARC line without spaces in its content type, where warcio would split it wrongly."""
    match = _ARC.fullmatch(line)
    if not match:
        return line
    url, address, date, content_type, length = match.groups()
    return b" ".join((url, address, date, content_type.replace(b" ", b""), length)) + b"\n"


def next_record(file: BinaryIO, position: int, size: int) -> int:
    """Offset of the next line after ``position`` that begins a record; ``size`` without one."""
    while position < size:
        file.seek(position)
        block = file.read(BLOCK * 16)
        match = _BEGINS_LINE.search(block)
        if match:
            return position + match.start()
        if position + len(block) >= size:
            break
        position += len(block) - _OVERLAP
    return size
