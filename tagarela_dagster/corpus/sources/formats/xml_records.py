"""Any XML file with one element a record (``mapping.record``), read as it streams by.

A record's fields are its child elements by local name, nested ones by a path with dots; an
element that occurs several times gives a list, an attribute is ``@name``, the characters of a
record without fields are ``#text``. Marks within running text leave their words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part
from tagarela_dagster.corpus.sources.markup_xml import local
from tagarela_dagster.corpus.sources.records import Record, documents


def read(part: Part) -> Iterator[Document | Rejected]:
    """Documents of an XML file's records; ``bad_xml`` where it stops being well-formed.

    Raises:
        FormatError: ``no_record``: the mapping names no record element, or it never occurs.
    """
    mapping = part.source.mapping
    if mapping.record is None:
        raise FormatError("no_record", "say in 'mapping.record' which element is one record")
    yield from documents(_records(part, mapping.record), mapping, part.name, part.native_id)


def _records(part: Part, name: str) -> Iterator[Record | Rejected]:
    events = etree.iterparse(
        part.stream,
        events=("start", "end"),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
    )
    number, inside, start = 0, 0, 0
    try:
        for event, element in events:
            if event == "start":
                if inside == 0:
                    start = part.stream.delivered
                inside += local(element) == name
                if inside and part.stream.delivered - start > part.options.max_file_bytes:
                    limit = f"more than {part.options.max_file_bytes} bytes (max_file_bytes)"
                    raise FormatError("too_large", f"a record of {limit}", offset=f"byte {start}")
                continue
            if local(element) == name:
                inside -= 1
                if inside == 0:
                    number += 1
                    where = f"record {number}, line {element.sourceline}"
                    fields = _fields(element)
                    size = sum(len(v.encode()) for v in fields.values() if isinstance(v, str))
                    yield Record(fields, number, where, size)
            if inside == 0:
                _forget(element)
    except etree.XMLSyntaxError as error:
        reason = "encoding" if "encoding" in str(error).lower() else "bad_xml"
        detail = f"{error.msg}; nothing behind it is read"
        yield Rejected(part.name, f"line {error.lineno}", reason, detail)
    else:
        if not number:
            size = part.stream.delivered
            raise FormatError("no_record", f"there is no element <{name}> in it", size=size)


def _fields(element: etree._Element) -> dict[str, Any]:
    fields: dict[str, Any] = {f"@{key!s}": value for key, value in element.attrib.items()}
    for child in element:
        key = local(child)
        value: Any = _fields(child) if _is_nest(child) else "".join(map(str, child.itertext()))
        if not key:
            continue
        if key not in fields:
            fields[key] = value
        elif isinstance(fields[key], list):
            fields[key].append(value)
        else:
            fields[key] = [fields[key], value]
    if not _is_nest(element):
        fields["#text"] = "".join(map(str, element.itertext()))
    return fields


def _is_nest(element: etree._Element) -> bool:
    """Whether an element holds elements only; with characters between, they are marks in a text."""
    texts = [element.text, *(child.tail for child in element)]
    return len(element) > 0 and not any(text and text.strip() for text in texts)


def _forget(element: etree._Element) -> None:
    """Free what was read: the element's content, and the elements before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
