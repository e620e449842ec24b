"""JATS articles (SciELO PS, PMC): title, abstract and body in one language, Portuguese by default.

An article in another language may carry a Portuguese translation (``sub-article``), or at least a
Portuguese abstract; whichever is found first makes the document. References, tables, figures,
formulas, footnotes and numbers that point to references are left out.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from lxml import etree

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part, no_text
from tagarela_dagster.corpus.sources.formats.xml_tree import parse
from tagarela_dagster.corpus.sources.labels import license_of
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
    skip=(
        "ref-list fn-group fn table-wrap table fig fig-group graphic media inline-graphic"
        " supplementary-material disp-formula disp-formula-group inline-formula tex-math math label"
        " table-wrap-foot sub-article response floats-group"
    ),
    block=(
        "p list list-item def-list def-item disp-quote verse-group verse-line attrib speech sec"
        " break"
    ),
    heading="title",
)
_POINTERS = ("bibr", "fn", "table-fn", "aff", "corresp", "author-notes")
_NUMBERS = re.compile(r"^[\d\s,;.*–\-—()\[\]a-z†‡§]{0,12}$")
_EMPTY = re.compile(r"\s*[(\[]\s*[;,.–\-—\s]*[)\]]")
_LOOSE = re.compile(r"[ \t]+([,.;:])")


def read(part: Part) -> Iterator[Document | Rejected]:
    """The document of an article; ``other_language`` (left out) when none of it is Portuguese."""
    parsed = parse(part)
    article = parsed.root if local(parsed.root) == "article" else find(parsed.root, "article")
    if article is None:
        raise FormatError("bad_xml", "there is no <article> in it", size=part.stream.delivered)
    front = find(article, "front")
    meta = dict(parsed.meta) | _meta(front)
    found = _portuguese(article)
    if found is None:
        detail = f"the article is in '{article.get(f'{XML_NAMESPACE}lang')}'"
        raise FormatError("other_language", detail, size=part.stream.delivered, quarantined=False)
    title, blocks = found
    text = "\n\n".join(filter(None, (_text(block) for block in blocks)))
    if not text:
        raise no_text(part.stream.delivered, "neither abstract nor body has text")
    yield Document(
        part.native_id,
        text,
        url=f"https://doi.org/{meta['doi']}" if meta.get("doi") else None,
        date=_date(front),
        title=title or None,
        license=_license(front),
        meta=meta,
    )


def _portuguese(article: etree._Element) -> tuple[str, list[etree._Element]] | None:
    """Title and blocks of the Portuguese version."""
    language = article.get(f"{XML_NAMESPACE}lang")
    translations = [
        sub
        for sub in children(article, "sub-article")
        if sub.get("article-type") == "translation" and _is_portuguese(sub)
    ]
    if language is None or _is_portuguese(article):
        whole = article
    elif translations:
        whole = translations[0]
    else:
        abstracts = [e for e in _own(article, "trans-abstract") if _is_portuguese(e)]
        titles = [e for e in _own(article, "trans-title-group") if _is_portuguese(e)]
        title = plain(find(titles[0], "trans-title")) if titles else ""
        return (title, abstracts[:1]) if abstracts else None
    title = plain(next(_own(whole, "article-title"), None))
    abstracts = [e for e in _own(whole, "abstract") if not e.get("abstract-type")]
    return title, abstracts + list(children(whole, "body"))


def _own(article: etree._Element, name: str) -> Iterator[etree._Element]:
    """Elements of the article's own front matter."""
    for front in (*children(article, "front"), *children(article, "front-stub")):
        yield from (e for e in front.iterdescendants() if local(e) == name)


def _is_portuguese(element: etree._Element) -> bool:
    return (element.get(f"{XML_NAMESPACE}lang") or "").lower().startswith("pt")


def _text(block: etree._Element) -> str:
    for element in list(block.iterdescendants()):
        pointer = local(element) == "xref" and element.get("ref-type") in _POINTERS
        # A name and a year belong to the sentence, a raised number does not.
        if pointer and _NUMBERS.match(plain(element)):
            element.text = ""
            del element[:]
    text = text_of(block, STYLE)
    return _LOOSE.sub(r"\1", _EMPTY.sub("", text)).strip()


def _meta(front: etree._Element | None) -> dict[str, object]:
    if front is None:
        return {}
    doi = next(
        (
            plain(e)
            for e in front.iterdescendants()
            if local(e) == "article-id" and e.get("pub-id-type") == "doi"
        ),
        "",
    )
    found = {"doi": doi, "journal": plain(find(front, "journal-title"))}
    return {key: value for key, value in found.items() if value}


def _license(front: etree._Element | None) -> str | None:
    licence = find(front, "license") if front is not None else None
    if licence is None:
        return None
    target = next((v for k, v in licence.attrib.items() if str(k).endswith("href")), None)
    return license_of(target) or license_of(plain(licence))


def _date(front: etree._Element | None) -> datetime.date | None:
    """Earliest publication date that names a year."""
    days = []
    for element in front.iterdescendants() if front is not None else ():
        if local(element) == "pub-date":
            parts = {local(e): plain(e) for e in element}
            values = [parts.get("year", ""), parts.get("month", "1"), parts.get("day", "1")]
            try:
                days.append(datetime.date(*(int(value) for value in values)))
            except ValueError:
                continue
    return min(days, default=None)
