"""Anybody's files: text, Markdown, JSONL, Parquet, CSV, TEI and more, loose or in archives.

The format is the source's ``format:``, or goes by the file's extension (below a compression
suffix) and, for ``.xml``, by the root element. A document's native identifier is the file's path
below its snapshot, ``archive!member`` for members, with the record's number behind a colon where
a file holds several records and the mapping names no identifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from importlib import import_module
from pathlib import PurePosixPath
from typing import cast

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.archive import Entry, entries, rejected
from tagarela_dagster.corpus.sources.damage import CompressedError
from tagarela_dagster.corpus.sources.deadline import DeadlineError, deadline
from tagarela_dagster.corpus.sources.formats.part import FilesOptions, FormatError, Part
from tagarela_dagster.corpus.sources.unit import Unit
from tagarela_dagster.recipe.sources import Source

PartReader = Callable[[Part], Iterator[Document | Rejected]]
PACKAGE = "tagarela_dagster.corpus.sources.formats"
FORMATS = {
    "text": "text.read",
    "markdown": "markdown.read",
    "jsonl": "jsonl.read",
    "parquet": "parquet.read",
    "csv": "delimited.read",
    "tsv": "delimited.read_tsv",
    "conllu": "conllu.read",
    "tei": "tei.read",
    "jats": "jats.read",
    "docbook": "docbook.read",
    "po": "po.read",
    "html": "html.read",
    "warc": "warc.read",
    "srt": "srt.read",
    "xml": "xml_records.read",
}
"""Format -> module and function; imported when first needed."""
EXTENSIONS = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".mdx": "markdown",
    ".markdown": "markdown",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".conllu": "conllu",
    ".tei": "tei",
    ".nxml": "jats",
    ".dbk": "docbook",
    ".docbook": "docbook",
    ".po": "po",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".warc": "warc",
    ".arc": "warc",
    ".srt": "srt",
    ".xml": "xml",
}
AT_ONCE = ("conllu", "tei", "jats", "docbook", "po", "html", "srt")
"""Formats whose files are parsed as a whole: what somebody built may take a parser hours.
Markdown, which takes longest, has a bound of its own."""
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".zstd")
PACKAGED = (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub", ".jar", ".apk", ".whl")
"""Documents of other programs that are zip archives inside; not taken for archives."""
JUNK = ("thumbs.db", "desktop.ini", "__macosx", "$recycle.bin")
"""What operating systems leave in folders and archives; hidden files are junk too."""


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every record of the unit's files.

    Left out: ``unknown_format``, ``no_text``, ``not_selected``. Quarantined: what the archive or
    the compression says (``truncated``, ``corrupt``, ``bomb``, ``unsafe_member``, …),
    ``encoding``, ``too_large``, ``deadline`` (parsing took more than ``deadline_s``), and what a
    format's module says of its records. Folders and what operating systems leave behind are no
    records.
    """

    def by_format(entry: Entry) -> PartReader | None:
        native = format_of(entry.path, entry.stream.peek(8192), source)
        if native is None:
            return None
        module, function = FORMATS[native].split(".")
        reader = cast(PartReader, getattr(import_module(f"{PACKAGE}.{module}"), function))
        return _in_time(reader) if native in AT_ONCE else reader

    yield from read_parts(unit, source, by_format)


def read_parts(
    unit: Unit, source: Source, choose: Callable[[Entry], PartReader | None]
) -> Iterator[Document | Rejected]:
    """Read every file and archive member of a unit with the function that ``choose`` gives it."""
    options = FilesOptions.model_validate(source.options)
    for file in unit.files:
        if _is_junk(file.name):
            continue
        if file.name.lower().endswith(PACKAGED):
            yield _unknown(file.name, file.bytes)
            continue
        for entry in entries(file, lambda name: _is_wanted(name, options)):
            if isinstance(entry, Rejected):
                yield entry
                continue
            whole = entry.name == file.name
            reader = choose(entry)
            if reader is None:
                yield _unknown(entry.name, file.bytes if whole else 0)
                continue
            native_id = stable_name(entry.name, source)
            yield from _reported(
                reader,
                Part(entry.name, native_id, entry.stream, source, options, file if whole else None),
            )


def _reported(reader: PartReader, part: Part) -> Iterator[Document | Rejected]:
    """What the reader yields, and a rejection for what ended it."""
    try:
        for record in reader(part):
            if isinstance(record, Document):
                record.license = record.license or _first(part.options.licenses, part.name)
                record.variety = record.variety or _first(part.options.varieties, part.name)
            yield record
    except FormatError as error:
        yield Rejected(
            part.name,
            error.offset,
            error.reason,
            error.detail,
            error.size,
            error.quarantined,
            error.excerpt,
        )
    except CompressedError as error:
        yield rejected(error, part.name)


def _in_time(reader: PartReader) -> PartReader:
    """The reader with a bound on the processor time of each step, a ``deadline`` behind it."""

    def read(part: Part) -> Iterator[Document | Rejected]:
        records = reader(part)
        try:
            while True:
                with deadline(part.options.deadline_s):
                    record = next(records, None)
                if record is None:
                    return
                yield record
        except DeadlineError as error:
            raise FormatError("deadline", str(error), size=part.stream.delivered) from None

    return read


def stable_name(name: str, source: Source) -> str:
    """A file's name without the snapshot's folder, so that it is the same in every snapshot."""
    file, mark, member = name.partition("!")
    if source.snapshots or "/" not in file:
        return name
    return file.partition("/")[2] + mark + member


def format_of(name: str, head: bytes, source: Source) -> str | None:
    """Native format of a file, None for none of ours."""
    if source.format != "auto":
        return source.format
    suffixes = PurePosixPath(name.lower()).suffixes
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    found = EXTENSIONS.get(suffixes[-1]) if suffixes else None
    if found == "xml" and source.mapping.record is None:
        from tagarela_dagster.corpus.sources.formats.xml_tree import dialect

        return dialect(head)
    return found


def _first(labels: Mapping[str, str], name: str) -> str | None:
    return next((label for glob, label in labels.items() if fnmatch(name, glob)), None)


def _unknown(name: str, size: int) -> Rejected:
    detail = "no format by this extension; name one with 'format:' in the recipe"
    return Rejected(name, "byte 0", "unknown_format", detail, size, quarantined=False)


def _is_wanted(member: str, options: FilesOptions) -> bool:
    if _is_junk(member):
        return False
    return not options.members or any(fnmatch(member, glob) for glob in options.members)


def _is_junk(name: str) -> bool:
    """Hidden files and folders, and operating systems' own. ``..`` is no junk but a danger."""
    parts = [part for part in name.lower().split("/") if part not in ("", ".", "..")]
    return any(part.startswith(".") or part in JUNK for part in parts)
