"""The robots.txt files in an archive, found without expanding its pages.

A host's robots.txt may stand behind its pages, so it must be known before the first page is read.
Archives hold a gzip member a record: each member's first bytes tell whose record it is, at a
tenth of the price of a second reading. An archive packed otherwise is read through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tagarela_dagster.corpus.sources.gzip_members import (
    MemberError,
    MemberStream,
    is_gzip,
    next_member,
)
from tagarela_dagster.corpus.sources.warc_lines import begins_record
from tagarela_dagster.corpus.sources.warc_records import RawRecord, read_records

_NAMED = re.compile(
    rb"^(?:WARC-Target-URI:[ \t]*<?)?https?://[^/\s]+/robots\.txt>?(?:[ \t]|\r?\n)", re.I | re.M
)


def robots_records(path: Path, max_body: int) -> Iterator[RawRecord]:
    """The responses (status 200, or none in old ARC files) for ``/robots.txt`` of any host."""
    for record in _candidates(path, max_body):
        if record.status in (None, "200") and is_robots(record.url):
            yield record


def is_robots(url: str) -> bool:
    """Whether an address is that of a host's robots.txt."""
    return url.endswith("/robots.txt") and url.count("/") == 3


def _candidates(path: Path, max_body: int) -> Iterator[RawRecord]:
    offsets = _offsets(path)
    if offsets is None:
        records = read_records(path, max_body)
        yield from (record for record in records if isinstance(record, RawRecord))
        return
    for offset in offsets:
        record = next(read_records(path, max_body, offset), None)
        if isinstance(record, RawRecord):
            yield record


def _offsets(path: Path) -> list[int] | None:
    """Where members begin that name a robots.txt; None when members are not records."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if not size or not is_gzip(file, 0):
            return None
        try:
            if MemberStream(file, 0).drain() == size:
                return None
        except MemberError:
            return None
        found: list[int] = []
        while (
            offset := next_member(file, found[-1] + 1 if found else 0, _names_robots)
        ) is not None:
            found.append(offset)
        return found


def _names_robots(head: bytes) -> bool:
    return begins_record(head) and _NAMED.search(head) is not None
