"""Plain text: a document a file (a novel stays one), or one a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.part import FilesOptions, Part, no_text
from tagarela_dagster.corpus.sources.formats.text_lines import read_lines
from tagarela_dagster.corpus.sources.prose import detokenise_line, tidy, unwrap

# White space is bounded, or begins where a run of it does: a text may have a megabyte of it.
_HEADING = re.compile(r"(?:^|(?<=\s))(={2,6})\s{0,9}([^=\n]{1,200}?)\s{0,9}\1(?=\s|$)")
_ITEM = re.compile(r"\s[*#]+\s*(?=[^\W_])")
_CATEGORIES = re.compile(r"(?:^|(?<!\s)\s+)(?:Categoria|Category) : .*$", re.MULTILINE)
_FILE = re.compile(r"(?:File|Ficheiro|Imagem?|Arquivo) : [^|\n]{1,200}\|\s*")
_BOLD = re.compile(r"``\s*'\s*([^'\n]+?)\s*''\s*'(?=\s|$)|``\s*'(?=\w)")
_BARE_QUOTES = re.compile(r"(?<!\S)(?:(?:``|''?)\s+)+(?:``|''?)(?!\S)")


def read(part: Part) -> Iterator[Document | Rejected]:
    """Documents of a text file; ``no_text`` for a file without any, blank lines are none."""
    if part.options.document_per == "line":
        for line in read_lines(part):
            if isinstance(line, Rejected):
                yield line
            elif text := _prose(line.text, part.options):
                yield Document(f"{part.native_id}:{line.number}", text)
        return
    decoded = part.decoded()
    text = _prose(decoded.text, part.options)
    if not text:
        raise no_text(part.stream.delivered)
    meta = {"encoding": decoded.encoding} if decoded.encoding != "utf-8" else {}
    yield Document(part.native_id, text, meta=meta)


def _prose(text: str, options: FilesOptions) -> str:
    if options.tokenised:
        text = "\n".join(detokenise_line(line) for line in _wiki_lines(text).split("\n"))
    text = tidy(text)
    return unwrap(text) if options.unwrap else text


def _wiki_lines(text: str) -> str:
    """WikiText corpora keep an article on a line, with headings, lists and categories in it."""
    text = _HEADING.sub(r"\n\n\2\n\n", _CATEGORIES.sub("", text))
    text = _BOLD.sub(r"\1", _FILE.sub("", _ITEM.sub("\n- ", text)))
    return _BARE_QUOTES.sub("", text)
