"""Europarl v7: the source release (one file a day) and the text files of the parallel release.

Source release: ``txt/pt/ep-98-02-17.txt`` (or ``ep-09-04-21-023.txt``), with ``<CHAPTER ID>``,
``<SPEAKER ID LANGUAGE NAME>`` and ``<P>`` on lines of their own; a document is a chapter, a
paragraph a line. The last quarter of 2000 is reserved for testing machine translation
(statmt.org/europarl) and left out.

Parallel release: ``europarl-v7.pt-en.pt``, a sentence a line without any boundary or date; a
document is a run of ``lines_per_document`` lines (an empty line is a sentence that the other
language lacks). Its last quarter of 2000 cannot be told apart.

Both are read from folders, compressed files, or the archives in which they are published.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import Field

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.archive import Entry, entries, rejected
from tagarela_dagster.corpus.sources.damage import CompressedError
from tagarela_dagster.corpus.sources.decoding import EncodingError, decode_line
from tagarela_dagster.corpus.sources.prose import one_line
from tagarela_dagster.corpus.sources.stream import lines
from tagarela_dagster.corpus.sources.unit import Unit
from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.sources import Source

MAX_LINE_BYTES = 4_000_000
_DAY = re.compile(r"(?:^|/)(ep-(\d\d)-(\d\d)-(\d\d)(?:-\d+)?\.txt)(?:\.\w+)?$")
_PARALLEL = re.compile(r"\.([a-z]{2})(?:\.(?:gz|bz2|xz|zst))?$")
_FOLDER = re.compile(r"(?:^|/)txt/([a-z]{2})/")
_MARK = re.compile(r"^<(CHAPTER|SPEAKER|P|BR)\b([^>]*)>\s*(.*)$", re.IGNORECASE)
_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s">]+))')
_TRANSLATED = re.compile(r"^\((?:[A-Z]{2})\)\s+(?=\S)")


class EuroparlOptions(Section):
    """Settings of a Europarl source."""

    reserve_q4_2000: bool = True
    """Leave out October to December 2000 as ``reserved_test``."""
    lines_per_document: int = Field(default=200, ge=1, le=100_000)
    """Sentences in a document of the parallel release."""


@dataclass
class _Chapter:
    """A chapter as it is read."""

    identifier: str
    line: int
    title: list[str] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)
    speakers: list[dict[str, str]] = field(default_factory=list)
    bytes: int = 0
    spoken: bool = False


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every chapter or run of sentences in Portuguese.

    Rejections: ``no_text``, ``encoding`` (a line), ``too_large`` (a line), what ``archive`` and
    ``compressed`` say of damage (the open chapter is lost, those before it are good); not
    quarantined: ``reserved_test``, ``other_language``, ``other_file``.
    """
    options = EuroparlOptions.model_validate(source.options)
    for file in unit.files:
        for entry in entries(file):
            if isinstance(entry, Rejected):
                yield entry
                continue
            day, folder = _DAY.search(entry.path), _FOLDER.search(entry.path)
            parallel = _PARALLEL.search(entry.path)
            language = folder[1] if folder else parallel[1] if parallel and not day else "pt"
            if language != "pt":
                detail = f"its language is '{language}'"
                yield Rejected(entry.name, "byte 0", "other_language", detail, 0, False)
            elif day:
                yield from _chapters(entry, day, options)
            elif parallel:
                yield from _runs(entry, options)
            else:
                detail = "neither ep-YY-MM-DD.txt nor a file ending in .pt"
                yield Rejected(entry.name, "byte 0", "other_file", detail, 0, False)


def _chapters(
    entry: Entry, day: re.Match[str], options: EuroparlOptions
) -> Iterator[Document | Rejected]:
    date = _date(day)
    reserved = options.reserve_q4_2000 and date is not None and date.year == 2000 and date.month > 9
    seen: dict[str, int] = {}
    chapter = _Chapter("0", 1)
    damage: CompressedError | None = None
    try:
        for number, raw in lines(entry.stream, MAX_LINE_BYTES):
            line = _decoded(raw, entry, number)
            if isinstance(line, Rejected):
                yield line
                continue
            mark = _MARK.match(line)
            if mark and mark[1].upper() == "CHAPTER":
                yield from _finish(chapter, entry, day[1], date, reserved, seen)
                chapter = _Chapter(_attributes(mark[2]).get("ID", "0"), number)
            _add(chapter, line, mark)
            chapter.bytes += len(raw or b"") + 1
    except CompressedError as error:
        damage = error
    if damage is None:
        yield from _finish(chapter, entry, day[1], date, reserved, seen)
    else:
        place = f"line {chapter.line}"
        yield Rejected(entry.name, place, damage.reason, str(damage), chapter.bytes)


def _add(chapter: _Chapter, line: str, mark: re.Match[str] | None) -> None:
    text = one_line(mark[3] if mark else line)
    if mark and mark[1].upper() == "SPEAKER":
        chapter.spoken = True
        found = _attributes(mark[2])
        names = {"name": "NAME", "language": "LANGUAGE", "affiliation": "AFFILIATION"}
        chapter.speakers.append({key: found[n] for key, n in names.items() if found.get(n)})
    if not text:
        return
    if chapter.spoken:
        chapter.paragraphs.append(_TRANSLATED.sub("", text))
    else:
        chapter.title.append(text)


def _finish(
    chapter: _Chapter,
    entry: Entry,
    name: str,
    date: datetime.date | None,
    reserved: bool,
    seen: dict[str, int],
) -> Iterator[Document | Rejected]:
    place = f"line {chapter.line}"
    if not chapter.title and not chapter.paragraphs:
        # What stands before the first chapter is usually nothing.
        if chapter.identifier != "0":
            yield Rejected(entry.name, place, "no_text", "an empty chapter", chapter.bytes, False)
        return
    if reserved:
        detail = f"{date} is reserved for testing"
        yield Rejected(entry.name, place, "reserved_test", detail, chapter.bytes, False)
        return
    count = seen[chapter.identifier] = seen.get(chapter.identifier, 0) + 1
    again = f".{count}" if count > 1 else ""
    title = " ".join(chapter.title) or None
    meta = {"release": "source", "chapter": chapter.identifier, "speakers": chapter.speakers}
    yield Document(
        native_id=f"{name}#{chapter.identifier}{again}",
        text="\n".join(([title] if title else []) + chapter.paragraphs),
        date=date,
        title=title,
        variety="pt-PT",
        meta=meta,
    )


def _runs(entry: Entry, options: EuroparlOptions) -> Iterator[Document | Rejected]:
    held: list[str] = []
    first = 1
    name = entry.path.rsplit("/", 1)[-1]

    def document() -> Document:
        meta = {"release": "parallel", "first_line": first, "sentences": len(held)}
        native_id = f"{re.sub(r'[.](gz|bz2|xz|zst)$', '', name)}#{first}"
        return Document(native_id, "\n".join(held), variety="pt-PT", meta=meta)

    try:
        for number, raw in lines(entry.stream, MAX_LINE_BYTES):
            line = _decoded(raw, entry, number)
            if isinstance(line, Rejected):
                yield line
            elif text := _TRANSLATED.sub("", one_line(line)):
                held.append(text)
            if number % options.lines_per_document == 0:
                if held:
                    yield document()
                held, first = [], number + 1
    except CompressedError as error:
        if held:
            yield document()
        yield rejected(error, entry.name)
        return
    if held:
        yield document()


def _decoded(raw: bytes | None, entry: Entry, number: int) -> str | Rejected:
    if raw is None:
        detail = f"a line of more than {MAX_LINE_BYTES} bytes"
        return Rejected(entry.name, f"line {number}", "too_large", detail, MAX_LINE_BYTES)
    try:
        return decode_line(raw).text.lstrip("\ufeff")
    except EncodingError as error:
        return Rejected(entry.name, f"line {number}", "encoding", str(error), len(raw))


def _attributes(text: str) -> dict[str, str]:
    return {name.upper(): quoted or bare for name, quoted, bare in _ATTRIBUTE.findall(text)}


def _date(day: re.Match[str]) -> datetime.date | None:
    year, month, date = (int(day[n]) for n in (2, 3, 4))
    try:
        return datetime.date(year + (1900 if year >= 90 else 2000), month, date)
    except ValueError:
        return None
