"""XML to running text: safe parsing of imperfect files, and text by blocks.

Parsing loads no DTD, fetches nothing, expands no entity of the file's own (``billion laughs``)
and goes on after an error, which is counted. What is a block, what is left out and what is an
inline mark is said by a ``Style``, one for each vocabulary.
"""

from __future__ import annotations

import html.entities
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from tagarela_dagster.corpus.sources.decoding import decode_text
from tagarela_dagster.corpus.sources.prose import tidy

XML_NAMESPACE = "{http://www.w3.org/XML/1998/namespace}"

_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{2,40})""")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
_ENTITY = re.compile(r"&([A-Za-z_][\w.-]*);")
_BARE = re.compile(r"&(?!#\d+;|#x[0-9A-Fa-f]+;|[A-Za-z_][\w.-]*;)")
_INVALID = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_PREDEFINED = ("amp", "lt", "gt", "quot", "apos")
_SPACE = re.compile(r"\s+")
_LINES = re.compile(r" *\n[ \n]*")
_HEADINGS = re.compile(r"[ \n]*\v[ \n\v]*")


class XmlError(ValueError):
    """Nothing of a file could be read as XML."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed file.

    Attributes:
        errors: mistakes that the parser went over (0 for well-formed XML); an ampersand that
            stands for itself is one.
        first_error: the first of them, with its line.
        entities: entities without a known value that were left out.
    """

    root: etree._Element
    errors: int
    first_error: str
    entities: Counter[str]
    encoding: str

    @property
    def meta(self) -> dict[str, object]:
        """What a document's ``meta`` should say of its file's condition."""
        found: dict[str, object] = {}
        if self.errors:
            found |= {"recovered": True, "xml_errors": self.errors}
        if self.encoding != "utf-8":
            found["encoding"] = self.encoding
        return found


@dataclass(frozen=True, slots=True)
class Style:
    """How the elements of a vocabulary read; names are local names.

    Attributes:
        skip: left out with all they hold.
        block: begin and end a line.
        heading: blocks with a blank line before them.
    """

    skip: frozenset[str] = frozenset()
    block: frozenset[str] = frozenset()
    heading: frozenset[str] = frozenset()


def style(*, skip: str = "", block: str = "", heading: str = "") -> Style:
    """A style of names separated by spaces."""
    return Style(*(frozenset(names.split()) for names in (skip, block, heading)))


def parse_xml(payload: bytes, entities: dict[str, str] | None = None) -> Parsed:
    """Parse a file.

    Args:
        payload: the file; its encoding is detected, the declared one is a hint.
        entities: values of entities that the file does not define itself; HTML's are known.

    Raises:
        EncodingError: it is no text.
        XmlError: not even a root element could be recovered.
    """
    match = _DECLARED.match(payload[:300])
    decoded = decode_text(payload, (match.group(1).decode(),) if match else ())
    text = _DOCTYPE.sub("", _DECLARATION.sub("", decoded.text.lstrip("\ufeff"), count=1), count=1)
    unknown: Counter[str] = Counter()

    def value(entity: re.Match[str]) -> str:
        name = entity.group(1)
        if name in _PREDEFINED:
            return entity.group()
        known = (entities or {}).get(name, html.entities.html5.get(f"{name};"))
        if known is None:
            unknown[name] += 1
        return known or ""

    text, bare = _BARE.subn("&amp;", _ENTITY.sub(value, _INVALID.sub("", text)))
    parser = etree.XMLParser(
        recover=True,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        strip_cdata=True,
        encoding="utf-8",
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise XmlError(f"no XML: {error}") from None
    if root is None:
        raise XmlError("no XML: there is no element in it")
    log = [entry for entry in parser.error_log if entry.level >= etree.ErrorLevels.ERROR]
    first = f"line {log[0].line}: {log[0].message}" if log else ""
    return Parsed(root, len(log) + bare, first, unknown, decoded.encoding)


def local(element: etree._Element) -> str:
    """Name without its namespace, "" for a comment or an entity."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def find(root: etree._Element, *names: str) -> etree._Element | None:
    """First element at a path of local names, each anywhere below the one before."""
    for name in names:
        found = next((e for e in root.iterdescendants() if local(e) == name), None)
        if found is None:
            return None
        root = found
    return root


def children(root: etree._Element, name: str) -> Iterator[etree._Element]:
    """Direct children of this local name."""
    return (child for child in root if local(child) == name)


def plain(element: etree._Element | None) -> str:
    """All characters of an element on one line, "" for None."""
    if element is None:
        return ""
    return " ".join("".join(str(text) for text in element.itertext()).split())


def text_of(element: etree._Element, style: Style) -> str:
    """The element's text: a line for each block, a blank line before headings, no inline marks."""
    pieces: list[str] = []
    _collect(element, style, pieces)
    text = _LINES.sub("\n", "".join(pieces))
    return tidy(_HEADINGS.sub("\n\n", text))


def _collect(element: etree._Element, style: Style, pieces: list[str]) -> None:
    name = local(element)
    if not name or name in style.skip:
        return
    heading = name in style.heading
    block = heading or name in style.block
    if block:
        pieces.append("\v" if heading else "\n")
    pieces.append(_SPACE.sub(" ", element.text or ""))
    for child in element:
        _collect(child, style, pieces)
        pieces.append(_SPACE.sub(" ", child.tail or ""))
    if block:
        pieces.append("\n")
