"""What a format's module is given, and how it says that a file cannot be read.

``Part`` is one file, or one member of an archive, as a bounded stream of expanded bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from tagarela_dagster.corpus.sources.charset import decode
from tagarela_dagster.corpus.sources.compressed import BoundedStream
from tagarela_dagster.corpus.sources.stream import read_all
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.sources import Source

MAX_ERROR_SHARE = 0.05
"""Above this share of undecodable characters, a file is wrongly encoded rather than damaged."""

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SPACES_AT_END = re.compile(r"[ \t]+$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
_LINE_ENDS = re.compile(r"\r\n?|[\f\v\x85\u2028\u2029]")


class FilesOptions(Section):
    """Settings of a ``files`` source (``options:`` in the recipe)."""

    members: list[str] = []
    """Globs of the archive members to read (``*.txt``); empty reads all."""
    max_file_bytes: int = Field(default=64_000_000, ge=1_000, le=256_000_000)
    """Longest file that is read as a whole (a document, an XML tree); bounds the memory."""
    max_line_bytes: int = Field(default=32_000_000, ge=1_000, le=256_000_000)
    """Longest line of a format that has a record a line."""
    document_per: str = Field(default="file", pattern="^(file|line)$")
    """Plain text: a document a ``file``, or one a ``line`` (collections of short texts)."""
    unwrap: bool = False
    """Plain text and Markdown: join hard-wrapped lines and words that are hyphenated there."""
    tokenised: bool = False
    """Plain text whose tokens stand apart (``casa , disse``): put the spaces back as written."""
    quoted: bool | None = None
    """CSV and TSV: whether fields may stand in quotation marks; by default in CSV only."""
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
        """The whole file as text, by byte order mark, UTF-8 or detection.

        Raises:
            FormatError: ``encoding``: too many characters cannot be decoded, or it is no text.
        """
        return decode_text(self.data())


def decode_text(data: bytes) -> str:
    """Bytes of any Western encoding as text. Raises ``FormatError`` (``encoding``)."""
    decoded = decode(data)
    if decoded.error_share > MAX_ERROR_SHARE:
        detail = f"{decoded.errors} characters cannot be decoded as {decoded.encoding}"
        raise FormatError("encoding", detail, size=len(data))
    controls = len(_CONTROL.findall(decoded.text))
    if controls > MAX_ERROR_SHARE * len(decoded.text) or "\0" in decoded.text[:1024]:
        detail = f"{controls} control characters: this is no text"
        raise FormatError("encoding", detail, size=len(data))
    return decoded.text


def no_text(size: int, detail: str = "there is no text in it") -> FormatError:
    """A sound file without text."""
    return FormatError("no_text", detail, size=size, quarantined=False)


def tidy(text: str) -> str:
    """Text with one kind of line end, no blanks at line ends, at most one blank line in a row."""
    text = _LINE_ENDS.sub("\n", text.replace("\ufeff", ""))
    return _BLANK_LINES.sub("\n\n", _SPACES_AT_END.sub("", text)).strip("\n")
