"""Markdown to plain text: CommonMark with tables through markdown-it, without code.

Headings, list items and table rows become lines (a list keeps its ``-`` and its numbers, so that
filters see what it is), links keep their text, images and code blocks go. Indented text is taken
for text: files converted from other formats indent paragraphs, and site generators the content of
their notes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.dates import parse_date
from tagarela_dagster.corpus.sources.deadline import DeadlineError, deadline
from tagarela_dagster.corpus.sources.formats.markdown_source import front_matter, without_marks
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part, no_text
from tagarela_dagster.corpus.sources.prose import tidy, unwrap

DEADLINE_S = 20.0
"""Processor time for one file; a megabyte of real Markdown takes about a second."""
CELL = "; "

_DROPPED = re.compile(
    r"<(script|style|pre|svg|iframe|template|video|audio|object|math)\b.*?(?:</\1\s*>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<[!?][^<>]*>")
_BREAK = re.compile(r"<(?:br|/?p|/?div|/?li|/?t[rdh]|/?h[1-6])\b[^<>]*>", re.IGNORECASE)
_STRAY = re.compile(r"\*{2,}|(?<!\w)__+(?=\w)|(?<=\w)__+(?!\w)")
_BROKEN_IMAGE = re.compile(r"!\[[^\[\]]*\](?:\[[^\[\]]*\]|\([^()]*\))")
_BROKEN_LINK = re.compile(r"\[([^\[\]]{1,300})\](?:\[[^\[\]]*\]|\((?:[^()]|\([^()]*\)){0,500}\))")
_SPACES = re.compile(r"[ \t\xa0]+")


def read(part: Part) -> Iterator[Document | Rejected]:
    """The document of a Markdown file, with its front matter in ``meta``."""
    source = part.text()
    values, body = front_matter(source)
    try:
        with deadline(DEADLINE_S):
            text, heading = to_text(body, part.options.unwrap)
    except DeadlineError as error:
        raise FormatError("deadline", str(error), size=len(source)) from error
    if not text:
        raise no_text(len(source.encode()), "there is no prose in it")
    title = values.pop("title", None)
    yield Document(
        part.native_id,
        text,
        title=str(title) if title else heading,
        date=parse_date(values.get("date")),
        meta={"front_matter": values} if values else {},
    )


def to_text(source: str, unwrapped: bool = False) -> tuple[str, str | None]:
    """Plain text of Markdown without front matter, and its first heading.

    A line end within a paragraph is a space. Files that were converted from print have their
    paragraphs a line apart: with ``unwrapped``, which lines go on is found out by their lengths.
    """
    writer = _Writer(soft_break="\n" if unwrapped else " ")
    writer.write(_parser().parse(without_marks(source)))
    text = tidy("".join(writer.pieces))
    return unwrap(text) if unwrapped else text, writer.heading


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("code")


class _Writer:
    """Block tokens to lines; blocks are parted by a blank line, lines of one list or table not."""

    def __init__(self, soft_break: str = " ") -> None:
        self._soft_break = soft_break
        self.pieces: list[str] = []
        self.heading: str | None = None
        self._lists = 0
        self._marker = ""
        self._cells: list[str] | None = None
        self._near = False

    def write(self, tokens: Sequence[Token], nested: bool = False) -> None:
        """Write a token stream; ``nested`` is the text inside an HTML block."""
        previous = ""
        for token in tokens:
            kind = token.type
            if kind.endswith("list_open"):
                self._lists += 1
            elif kind.endswith("list_close"):
                self._lists -= 1
                self._near = self._lists > 0
            elif kind == "list_item_open":
                self._marker = f"{token.info}{token.markup} " if token.info else "- "
            elif kind == "tr_open":
                self._cells = []
            elif kind == "tr_close":
                cells = [cell for cell in self._cells or [] if cell]
                self._cells = None
                self._emit(CELL.join(cells), near=True)
            elif kind == "table_close":
                self._near = False
            elif kind == "inline":
                self._inline(token, previous)
            elif kind == "html_block" and not nested:
                inner = _BREAK.sub("\n\n", _DROPPED.sub("", token.content))
                self.write(_parser().parse(_TAG.sub("", inner)), nested=True)
            previous = kind

    def _inline(self, token: Token, previous: str) -> None:
        text = inline_text(token.children or [], self._soft_break)
        if self._cells is not None:
            self._cells.append(" ".join(text.split()))
            return
        if previous == "heading_open":
            text = " ".join(text.split())
            self.heading = self.heading or text or None
        self._emit(text, near=self._lists > 0)

    def _emit(self, text: str, near: bool) -> None:
        text = text.strip()
        if not text:
            return
        if self.pieces:
            self.pieces.append("\n" if near and self._near else "\n\n")
        self.pieces.append(self._marker + text)
        self._marker, self._near = "", near


def inline_text(tokens: Sequence[Token], soft_break: str = " ") -> str:
    """Text of inline tokens: links and code spans as their text, images and tags left out."""
    pieces = []
    for token in tokens:
        if token.type in ("text", "text_special"):
            pieces.append(_without_stray_marks(token.content))
        elif token.type == "code_inline":
            pieces.append(token.content)
        elif token.type == "softbreak":
            pieces.append(soft_break)
        elif token.type == "hardbreak" or (
            token.type == "html_inline" and _BREAK.match(token.content)
        ):
            pieces.append("\n")
    text = html.unescape("".join(pieces))
    return "\n".join(_SPACES.sub(" ", line).strip() for line in text.split("\n"))


def _without_stray_marks(text: str) -> str:
    """Links to references that are nowhere, and emphasis that does not close, as their text."""
    return _STRAY.sub("", _BROKEN_LINK.sub(r"\1", _BROKEN_IMAGE.sub("", text)))
