"""gettext PO: the translations of a file as the paragraphs of one document.

Fuzzy and obsolete entries, the header, and strings left as they were are left out. Documentation
is translated with its reStructuredText marks; those are taken out, their words stay, and program
listings (what follows ``::``, or looks like code) are left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part, no_text
from tagarela_dagster.corpus.sources.labels import variety_of
from tagarela_dagster.corpus.sources.prose import tidy

_KEYWORD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr)(?:\[\d+\])?\s+(".*)$')
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"\s*$')
_LINE_END = re.compile(r"\r\n|\r|\n")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "", "b": "", "f": "\n", "v": "\n"}
# Linear in the text: white space begins where a run of it does, and no repeat is within another.
_ROLE = re.compile(r"(?::[\w+-]{1,40}){0,3}:[\w+-]{1,40}:`[~!]?([^`<]*)(?:<[^`>]*>)?`")
_LITERAL = re.compile(r"``([^`]+)``")
_LINK = re.compile(r"`([^`<]*)(?:<[^`>]*>)?`_{0,2}")
_FOOTNOTE = re.compile(r"(?:(?<!\s)\s+)?(?:\[(?:\d+|#\w*)\]_|\|[\w-]+\|_?)")
_LISTING_FOLLOWS = re.compile(r"(?:(?<!\s)\s+)?::$")
_STRONG = re.compile(r"(?<![\w*])(\*{1,2})(?=\S)([^*\n]+?)(?<=\S)\1(?![\w*])")
_CODE = re.compile(
    r"^\s{2,}|^\s*(?:#|>>>|\.\.\.|\$ |@|def |class |import |from )|[{};=\\]\s*$|\w\(|\S = \S"
)
CODE_SHARE = 0.4
"""A string of which more lines than this look like code is a listing."""
_TAG = re.compile(r"</?[a-zA-Z][\w-]*(?:\s[^<>]*)?/?>")


@dataclass
class _Entry:
    """One entry: its strings, and whether it counts."""

    source: list[str] = field(default_factory=list)
    translations: list[list[str]] = field(default_factory=list)
    fuzzy: bool = False


def read(part: Part) -> Iterator[Document | Rejected]:
    """The document of a PO file; ``bad_po`` for a line that is none of the format."""
    paragraphs: list[str] = []
    counts = {"entries": 0, "fuzzy": 0, "untranslated": 0, "listings": 0}
    language, announced = "", False
    for entry in _entries(part.text()):
        source = "".join(entry.source)
        translations = ["".join(pieces) for pieces in entry.translations]
        if not source:
            match = re.search(r"^Language:\s*(\S+)", "".join(translations), re.MULTILINE)
            language = match.group(1) if match else ""
            continue
        counts["entries"] += 1
        listing, announced = announced or _is_listing(source), source.endswith("::")
        if listing:
            counts["listings"] += 1
        elif entry.fuzzy:
            counts["fuzzy"] += 1
        elif not any(translations) or translations == [source]:
            counts["untranslated"] += 1
        else:
            paragraphs += [text for text in map(plain_text, translations) if text]
    if not paragraphs:
        raise no_text(part.stream.delivered, "nothing in it is translated")
    yield Document(
        part.native_id, "\n\n".join(paragraphs), variety=variety_of(language), meta=dict(counts)
    )


def plain_text(text: str) -> str:
    """A translated string without reStructuredText's inline marks and HTML tags."""
    text = _LITERAL.sub(r"\1", _ROLE.sub(_words, _LISTING_FOLLOWS.sub(":", text)))
    text = _TAG.sub("", _LINK.sub(_words, text))
    return tidy(_STRONG.sub(r"\2", _FOOTNOTE.sub("", text)))


def _words(link: re.Match[str]) -> str:
    return link[1].rstrip()


def _is_listing(source: str) -> bool:
    """Whether a string of several lines is program code, as Sphinx extracts it from manuals."""
    lines = [line for line in source.split("\n") if line.strip()]
    return len(lines) > 1 and sum(map(bool, map(_CODE.search, lines))) > CODE_SHARE * len(lines)


def _entries(text: str) -> Iterator[_Entry]:
    entry, current = _Entry(), None
    # Not splitlines: U+2028 and its kind stand inside strings.
    for number, line in enumerate(_LINE_END.split(text), 1):
        line = line.strip()
        if line.startswith("#"):
            if entry.translations:
                yield entry
                entry, current = _Entry(), None
            entry.fuzzy = entry.fuzzy or (line.startswith("#,") and "fuzzy" in line)
            continue
        if not line:
            continue
        match = _KEYWORD.match(line)
        if match:
            keyword, line = match.groups()
            if keyword in ("msgctxt", "msgid") and entry.translations:
                yield entry
                entry = _Entry()
            if keyword == "msgstr":
                entry.translations.append([])
            current = {
                "msgid": entry.source,
                "msgstr": entry.translations[-1] if entry.translations else None,
            }.get(keyword, [])
        string = _STRING.match(line)
        if string is None or current is None:
            raise FormatError("bad_po", f"no PO syntax: {line[:80]}", offset=f"line {number}")
        current.append(_ESCAPE.sub(lambda m: _ESCAPES.get(m[1], m[1]), string[1]))
    if entry.translations:
        yield entry
