"""TEI P5 (and TEI.2): the body's text, its paragraphs and verses a line each, without notes.

Title page, front and back matter are left out. Of what ``choice`` offers, the corrected, expanded
reading is taken, and the original spelling over a regularised one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from lxml import etree

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.dates import parse_date
from tagarela_dagster.corpus.sources.formats.part import Part, no_text
from tagarela_dagster.corpus.sources.formats.xml_tree import parse
from tagarela_dagster.corpus.sources.labels import license_of, variety_of
from tagarela_dagster.corpus.sources.markup_xml import (
    XML_NAMESPACE,
    children,
    find,
    local,
    plain,
    style,
    text_of,
)

STYLE = style(
    skip="note fw figure graphic gap del teiHeader witDetail app index listBibl",
    block=(
        "p ab l lg sp speaker stage item row opener closer salute signed dateline byline trailer"
        " epigraph div div1 div2 div3 floatingText list table cell u seg lb"
    ),
    heading="head",
)
_EDITION = re.compile(r"\s*[:.]\s*(?:edição para o ELTeC|ELTeC[- ]edition|MPEG7 edition)\s*$", re.I)
_LEFT_OUT = {"choice": ("sic", "reg", "abbr")}


def read(part: Part) -> Iterator[Document | Rejected]:
    """The document of a TEI file; ``no_text`` when the body holds none."""
    parsed = parse(part)
    root = parsed.root
    _choose(root)
    bodies = [e for e in root.iterdescendants() if local(e) == "body"]
    bodies = [body for body in bodies if not any(local(a) == "body" for a in body.iterancestors())]
    text = "\n\n".join(filter(None, (text_of(body, STYLE) for body in bodies)))
    if not text:
        raise no_text(part.stream.delivered, "the body holds no text")
    header = find(root, "teiHeader")
    main = find(root, "text")
    meta = dict(parsed.meta)
    title, author, license_ = None, None, None
    if header is not None:
        titles = find(header, "titleStmt")
        if titles is not None:
            title = _EDITION.sub("", plain(next(children(titles, "title"), None))) or None
            author = "; ".join(filter(None, map(plain, children(titles, "author"))))
        license_ = _license(header)
    if author:
        meta["author"] = author
    languages = (e.get(f"{XML_NAMESPACE}lang") for e in (main, root) if e is not None)
    yield Document(
        part.native_id,
        text,
        title=title,
        date=_date(header),
        license=license_,
        variety=next(filter(None, map(variety_of, languages)), None),
        meta=meta,
    )


def _choose(root: etree._Element) -> None:
    """Take the readings out that are not wanted; join words that a line break divides."""
    for element in list(root.iterdescendants()):
        parent = element.getparent()
        name = local(element)
        unwanted = parent is not None and name in _LEFT_OUT.get(local(parent), ())
        if unwanted or (name == "lb" and element.get("break") == "no"):
            _remove(element)


def _remove(element: etree._Element) -> None:
    """Remove an element and keep the text behind it."""
    parent, previous, tail = element.getparent(), element.getprevious(), element.tail or ""
    if parent is None:
        return
    if previous is None:
        parent.text = (parent.text or "") + tail
    else:
        previous.tail = (previous.tail or "") + tail
    parent.remove(element)


def _license(header: etree._Element) -> str | None:
    licence = find(header, "licence")
    if licence is None:
        return None
    return license_of(licence.get("target")) or license_of(plain(licence))


def _date(header: etree._Element | None) -> datetime.date | None:
    """Day of the first edition, else of the source, else of the file's own publication."""
    if header is None:
        return None
    source = find(header, "sourceDesc")
    first: list[etree._Element] = []
    if source is not None:
        dates = [e for e in source.iterdescendants() if local(e) == "date"]
        first = sorted(dates, key=lambda e: (e.getparent().get("type") or "") != "firstEdition")  # type: ignore[union-attr]
    published = find(header, "publicationStmt", "date")
    for element in [*first, *([published] if published is not None else [])]:
        day = parse_date(element.get("when") or "") or parse_date(plain(element))
        if day:
            return day
    return None
