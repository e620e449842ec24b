"""What a format's module is given, and how it says that a file cannot be read.

``Part`` is one file, or one member of an archive, as a bounded stream of expanded bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from tagarela_dagster.corpus.sources.charset import Decoded
from tagarela_dagster.corpus.sources.compressed import BoundedStream
from tagarela_dagster.corpus.sources.decoding import EncodingError, decode_text
from tagarela_dagster.corpus.sources.misreading import undo_misreading
from tagarela_dagster.corpus.sources.stream import read_all
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.sources import Source, Variety


class FilesOptions(Section):
    """Settings of a ``files`` source (``options:`` in the recipe)."""

    members: list[str] = []
    """Globs of the archive members to read (``*.txt``); empty reads all."""
    max_file_bytes: int = Field(default=64_000_000, ge=1_000, le=256_000_000)
    """Longest file that is read as a whole (a document, an XML tree); bounds the memory."""
    max_line_bytes: int = Field(default=32_000_000, ge=1_000, le=256_000_000)
    """Longest line of a format that has a record a line."""
    deadline_s: float = Field(default=120.0, gt=0, le=3600)
    """Processor time for a file that is parsed as a whole; only one that is built to takes longer
    (marks that are opened by the hundred thousand and never closed)."""
    document_per: str = Field(default="file", pattern="^(file|line)$")
    """Plain text: a document a ``file``, or one a ``line`` (collections of short texts)."""
    unwrap: bool = False
    """Plain text and Markdown: join hard-wrapped lines and words that are hyphenated there."""
    tokenised: bool = False
    """Plain text whose tokens stand apart (``casa , disse``): put the spaces back as written."""
    misread_as: str | None = None
    """Encoding in which Windows-1252 text was once wrongly read before it was saved: ``cp1250``
    for ``Constituiçăo``. Undone in documents that show it."""
    quoted: bool | None = None
    """CSV and TSV: whether fields may stand in quotation marks; by default in CSV only."""
    licenses: dict[str, str] = {}
    """Glob of file names (``archive!member`` too) -> licence of records that carry none of their
    own. The first that matches counts, before the source's ``license``."""
    varieties: dict[str, Variety] = {}
    """Glob of file names -> variety, likewise."""
    warc: dict[str, Any] = {}
    """Settings of web archives, see ``corpus/sources/warc.py``."""


class FormatError(Exception):
    """The whole file is none of its format, or a record of it cannot be used.

    Attributes:
        reason: short machine name for a ``Rejected``.
        offset: where in the file, as text.
        quarantined: False for a sound file that simply has nothing to give.
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        offset: str = "byte 0",
        size: int = 0,
        quarantined: bool = True,
        excerpt: str = "",
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.offset = offset
        self.size = size
        self.quarantined = quarantined
        self.excerpt = excerpt


@dataclass(frozen=True, slots=True)
class Part:
    """One file to read.

    Attributes:
        name: the file as it is reported: ``file`` or ``archive!member``.
        native_id: the same below the snapshot's folder: does not change from one snapshot to the
            next.
        stream: expanded bytes.
        file: the file on disk when the part is all of it, None for an archive's member.
    """

    name: str
    native_id: str
    stream: BoundedStream
    source: Source
    options: FilesOptions
    file: RawFile | None = None

    def data(self) -> bytes:
        """The whole file. Raises ``CompressedError``, or ``FormatError`` when it is too large."""
        limit = self.options.max_file_bytes
        if len(self.stream.peek(limit + 1)) > limit:
            raise FormatError("too_large", f"more than {limit} bytes (options.max_file_bytes)")
        return read_all(self.stream, limit)

    def text(self) -> str:
        """The whole file as text. Raises as ``data``, and ``FormatError`` (``encoding``)."""
        return self.decoded().text

    def decoded(self) -> Decoded:
        """The whole file as text, with the encoding that it was found to have."""
        data = self.data()
        try:
            found = decode_text(data)
        except EncodingError as error:
            excerpt = data[:200].decode("utf-8", "replace")
            raise FormatError("encoding", str(error), size=len(data), excerpt=excerpt) from error
        if self.options.misread_as is None:
            return found
        return replace(found, text=undo_misreading(found.text, self.options.misread_as))


def no_text(size: int, detail: str = "there is no text in it") -> FormatError:
    """A sound file without text."""
    return FormatError("no_text", detail, size=size, quarantined=False)
