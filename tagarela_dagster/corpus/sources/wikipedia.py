"""Wikipedia: MediaWiki XML dumps, their bzip2 streams in parallel where the dump has an index.

``ptwiki-DATE-pages-articles-multistream.xml.bz2`` holds 100 pages a stream; the lines
``offset:pageid:title`` of ``…-multistream-index.txt.bz2`` say where streams begin. ``plan`` turns
runs of streams into units, by the index alone, so the cut does not depend on workers. A dump
without an index, or whose index is damaged (which is quarantined), is one unit, streamed.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from lxml import etree
from pydantic import Field

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.compressed import open_bounded
from tagarela_dagster.corpus.sources.damage import CompressedError
from tagarela_dagster.corpus.sources.deadline import DeadlineError, deadline
from tagarela_dagster.corpus.sources.mediawiki_dump import BZIP2, PageXml, read_pages
from tagarela_dagster.corpus.sources.stream import lines
from tagarela_dagster.corpus.sources.unit import RawFile, Unit
from tagarela_dagster.corpus.sources.wikitext import plain_text
from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.sources import Source

ADDRESS = "https://pt.wikipedia.org/wiki/"
MAX_INDEX_LINE = 10_000

_DUMP = re.compile(r"\.xml(?:-p\d+p\d+)?(?:\.(?:bz2|gz|xz|zst))?$")
_INDEXED = re.compile(r"(-multistream)(\d*)\.xml")
_INDEX = re.compile(r"(-multistream)-index(\d*)\.txt")
_INDEX_LINE = re.compile(rb"(\d{1,18}):\d{1,18}:.")
_DISAMBIGUATION = re.compile(
    r"\{\{\s*(?:p[aá]gina[ _]de[ _])?"
    r"(?:desambigua[cç][aã]o|desambigua[cç][oõ]es|desambig|disambig|disambiguation|desamb|dab)"
    r"\s*(?:[|/}-])|__DISAMBIG__",
    re.IGNORECASE,
)
_REDIRECT = re.compile(r"\s*#\s*(?:redirect|redirecionamento|redireccionamento)\b", re.IGNORECASE)


class WikipediaOptions(Section):
    """Settings of a Wikipedia source."""

    unit_bytes: int = Field(default=4_000_000, ge=1, le=1_000_000_000)
    """Compressed bytes of a unit: whole streams until this much is reached."""
    deadline_s: float = Field(default=30.0, gt=0, le=3600)
    """Processor time for the wikitext of one page."""


class IndexDamageError(Exception):
    """An index that cannot be used; ``offset`` is where in it, in words."""

    def __init__(self, offset: str, detail: str) -> None:
        super().__init__(detail)
        self.offset = offset


class _LeftOutError(Exception):
    def __init__(self, reason: str, detail: str, quarantined: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.quarantined = quarantined


def plan(files: Sequence[RawFile], source: Source) -> list[Unit]:
    """Runs of streams for each indexed dump; every other file is a unit of its own."""
    options = WikipediaOptions.model_validate(source.options)
    by_name = {file.name: file for file in files}
    units, used = [], set()
    for file in files:
        index = by_name.get(index_name(file.name))
        if not _DUMP.search(file.name) or index is None:
            continue
        try:
            ranges = stream_ranges(file, index, options.unit_bytes)
        except IndexDamageError:
            continue  # the index becomes a unit below, and ``read`` quarantines it
        used |= {file.name, index.name}
        units += [
            Unit(f"{file.name}#{start}-{end}", (file,), (start, end)) for start, end in ranges
        ]
    units += [Unit(file.name, (file,)) for file in files if file.name not in used]
    return sorted(units, key=lambda unit: (unit.files[0].name, unit.part or (0, 0)))


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every page of the unit's part of a dump.

    Left out: ``namespace``, ``redirect``, ``disambiguation``, ``not_wikitext``, ``no_text``,
    ``not_a_dump``. Quarantined: ``bad_xml``, ``bad_page``, ``encoding``, ``deadline``,
    ``bad_wikitext``, ``too_large``, ``no_pages``, ``bad_index``, and ``truncated``, ``corrupt``
    or ``bomb`` with the byte range of the stream.
    """
    options = WikipediaOptions.model_validate(source.options)
    for file in unit.files:
        if _DUMP.search(file.name):
            yield from _read_dump(file, unit.part, options)
        else:
            yield _other_file(file)


def index_name(dump: str) -> str:
    """Name of a multistream dump's index (also of a part: ``multistream3.xml-p1p9.bz2``)."""
    return _INDEXED.sub(r"\1-index\2.txt", dump) if _INDEXED.search(dump) else ""


def stream_ranges(dump: RawFile, index: RawFile, unit_bytes: int) -> list[tuple[int, int]]:
    """Byte ranges of whole streams that cover the dump, each of ``unit_bytes`` or a little more.

    Raises:
        IndexDamageError: a line is no ``offset:pageid:title``, offsets go back or beyond the
            dump, a range would not begin with a bzip2 stream, or the index cannot be read on.
    """
    starts, last, number = [0], 0, 0
    begun: int | None = None  # first page of the range; the dump's head is read with the first
    with open_bounded(index.path) as stream, dump.path.open("rb") as file:
        try:
            for number, line in lines(stream, MAX_INDEX_LINE):
                match = _INDEX_LINE.match(line or b"")
                offset = int(match.group(1)) if match else -1
                if not last <= offset < dump.bytes:
                    shown = (line or b"")[:80].decode("utf-8", "replace")
                    raise IndexDamageError(f"line {number}", f"no sound offset: '{shown}'")
                last = offset
                begun = offset if begun is None else begun
                if offset - begun >= unit_bytes:
                    file.seek(offset)
                    if not BZIP2.match(file.read(10)):
                        detail = f"the dump has no bzip2 stream at byte {offset}"
                        raise IndexDamageError(f"line {number}", detail)
                    starts.append(offset)
                    begun = offset
        except CompressedError as error:
            raise IndexDamageError(f"line {number + 1}", str(error)) from error
    if not number:
        raise IndexDamageError("byte 0", "the index is empty")
    return list(zip(starts, [*starts[1:], dump.bytes], strict=True))


def _other_file(file: RawFile) -> Rejected:
    """A damaged index, which is quarantined, or a file that is no dump."""
    dump = file.path.with_name(_INDEX.sub(r"\1\2.xml", file.path.name))
    if dump != file.path and dump.is_file():
        try:
            stream_ranges(RawFile(dump, dump.name, dump.stat().st_size), file, 1)
        except IndexDamageError as error:
            detail = f"{error}; the dump is read without its index"
            return Rejected(file.name, error.offset, "bad_index", detail, file.bytes)
    detail = "neither a dump (.xml, .xml.bz2) nor the index of one"
    return Rejected(file.name, "byte 0", "not_a_dump", detail, file.bytes, False)


def _read_dump(
    file: RawFile, part: tuple[int, int] | None, options: WikipediaOptions
) -> Iterator[Document | Rejected]:
    found = False
    for item in read_pages(file.path, part):
        found = True
        if not isinstance(item, PageXml):
            yield Rejected(file.name, item.offset, item.reason, item.detail, item.bytes)
            continue
        try:
            yield _document(item.data, options)
        except _LeftOutError as left_out:
            yield Rejected(
                file.name,
                item.offset,
                left_out.reason,
                str(left_out),
                len(item.data),
                left_out.quarantined,
                item.data[:200].decode("utf-8", "replace"),
            )
    if not found:
        start, end = part or (0, file.bytes)
        detail = "no <page> element; not a MediaWiki dump, or an empty one"
        yield Rejected(file.name, f"byte {start}", "no_pages", detail, end - start)


def _document(data: bytes, options: WikipediaOptions) -> Document:
    page = _parse(data)
    title, page_id = page.findtext("title"), page.findtext("id")
    revision = page.find("revision")
    if not title or not page_id or revision is None:
        raise _LeftOutError("bad_page", "no title, id or revision", quarantined=True)
    if page.findtext("ns", "0") != "0":
        raise _LeftOutError("namespace", title)
    wikitext = revision.findtext("text") or ""
    if page.find("redirect") is not None or _REDIRECT.match(wikitext):
        raise _LeftOutError("redirect", title)
    if title.casefold().endswith("(desambiguação)") or _DISAMBIGUATION.search(wikitext):
        raise _LeftOutError("disambiguation", title)
    if revision.findtext("model", "wikitext") != "wikitext":
        raise _LeftOutError("not_wikitext", title)
    try:
        with deadline(options.deadline_s):
            text = plain_text(wikitext)
    except DeadlineError as error:
        raise _LeftOutError("deadline", f"{title}: {error}", quarantined=True) from error
    except Exception as error:
        detail = f"{title}: {type(error).__name__}: {error}"
        raise _LeftOutError("bad_wikitext", detail, quarantined=True) from error
    if not text:
        raise _LeftOutError("no_text", title)
    return Document(
        native_id=page_id,
        text=text,
        url=ADDRESS + quote(title.replace(" ", "_"), safe="/:,()!*'"),
        date=_day(revision.findtext("timestamp")),
        title=title,
        meta={"page": page_id, "revision": revision.findtext("id")},
    )


def _parse(data: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as wrong:
            detail = f"no UTF-8 at byte {wrong.start} of the page"
            raise _LeftOutError("encoding", detail, quarantined=True) from error
        raise _LeftOutError("bad_xml", str(error), quarantined=True) from error


def _day(timestamp: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(timestamp[:10]) if timestamp else None
    except ValueError:
        return None
