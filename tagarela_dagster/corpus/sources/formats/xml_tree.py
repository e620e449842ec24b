"""Which XML vocabulary a file is in, and its tree."""

from __future__ import annotations

import html.entities
import re

from tagarela_dagster.corpus.sources.decoding import EncodingError
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part
from tagarela_dagster.corpus.sources.markup_xml import Parsed, XmlError, parse_xml

_PROLOG = re.compile(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
_ROOT = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)([^>]*)")
_ENTITY = re.compile(r"&([a-z][a-z0-9]{1,30});")
_DOCBOOK_ROOTS = frozenset(
    "appendix article book chapter colophon glossary part partintro preface qandaset refentry"
    " reference sect1 sect2 section set variablelist".split()
)


def dialect(head: bytes) -> str | None:
    """``tei``, ``jats`` or ``docbook`` by a file's first kilobytes, None for another vocabulary."""
    text = head.replace(b"\0", b"").decode("utf-8", "replace")
    match = _ROOT.search(_PROLOG.sub("", text))
    if match is None:
        return None
    name, attributes = match.groups()
    if name in ("TEI", "TEI.2", "teiCorpus"):
        return "tei"
    if "docbook.org" in attributes or ("DocBook" in text and name in _DOCBOOK_ROOTS):
        return "docbook"
    jats = re.search(r"article-type\s*=|dtd-version\s*=|JATS|NLM//DTD|<front\b", text)
    if name == "article" and jats:
        return "jats"
    return "docbook" if name in _DOCBOOK_ROOTS - {"article", "part"} else None


def parse(part: Part, *, named_entities: bool = False) -> Parsed:
    """The part's tree. Mistakes are recovered and counted (see ``markup_xml``).

    Args:
        named_entities: an undefined entity with a plain name (``&null;``) stands for its name.

    Raises:
        FormatError: ``encoding``, ``bad_xml``, ``too_large``; ``no_text`` for an empty file.
    """
    data = part.data()
    if not data.strip():
        raise FormatError("no_text", "the file is empty", size=len(data), quarantined=False)
    known = {}
    if named_entities:
        found = set(_ENTITY.findall(data.decode("utf-8", "replace")))
        known = {name: name for name in found if f"{name};" not in html.entities.html5}
    excerpt = data[:200].decode("utf-8", "replace")
    try:
        return parse_xml(data, known)
    except EncodingError as error:
        raise FormatError("encoding", str(error), size=len(data), excerpt=excerpt) from error
    except XmlError as error:
        raise FormatError("bad_xml", str(error), size=len(data), excerpt=excerpt) from error
