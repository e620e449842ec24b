"""DocBook: prose of manuals, without listings and synopses.

Manuals keep common words and whole paragraphs in entities that other files define (``&null;``,
``&return.success;``). HTML's are known, an unknown one with a plain name stands for its name, and
one with dots in its name is left out and counted in ``meta``.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.part import Part, no_text
from tagarela_dagster.corpus.sources.formats.xml_tree import parse
from tagarela_dagster.corpus.sources.labels import variety_of
from tagarela_dagster.corpus.sources.markup_xml import XML_NAMESPACE, local, plain, style, text_of

STYLE = style(
    skip=(
        "programlisting screen literallayout synopsis funcsynopsis cmdsynopsis classsynopsis"
        " classsynopsisinfo methodsynopsis fieldsynopsis constructorsynopsis destructorsynopsis"
        " enumsynopsis packagesynopsis info bookinfo chapterinfo articleinfo sectioninfo indexterm"
        " titleabbrev mediaobject inlinemediaobject figure equation inlineequation remark include"
        " index toc footnote bibliography colophon refmeta revhistory"
    ),
    block=(
        "para simpara formalpara listitem varlistentry term member row refname refpurpose note"
        " warning caution tip important itemizedlist orderedlist variablelist simplelist table"
        " informaltable example informalexample blockquote section sect1 sect2 sect3 sect4 refsect1"
        " refsect2 refsect3 refsection refnamediv chapter appendix partintro glossentry question"
        " answer step procedure"
    ),
    heading="title bridgehead",
)


def read(part: Part) -> Iterator[Document | Rejected]:
    """The document of a DocBook file; ``no_text`` when it holds nothing but code."""
    parsed = parse(part, named_entities=True)
    root = parsed.root
    _prepare(root)
    text = text_of(root, STYLE)
    if not text:
        raise no_text(part.stream.delivered, "it holds no prose")
    meta = dict(parsed.meta)
    left_out = sum(parsed.entities.values())
    if left_out:
        meta["entities_left_out"] = left_out
    titles = (e for e in root.iterdescendants() if local(e) in ("title", "refname"))
    yield Document(
        part.native_id,
        text,
        title=plain(next(titles, None)) or None,
        variety=variety_of(root.get(f"{XML_NAMESPACE}lang")),
        meta=meta,
    )


def _prepare(root: etree._Element) -> None:
    """Part the cells of a row, quote quotations, drop the titles of listings."""
    for element in list(root.iterdescendants()):
        name, parent = local(element), element.getparent()
        if name == "entry" and element.getnext() is not None:
            element.tail = "; "
        elif name == "quote":
            element.text = "“" + (element.text or "")
            element.tail = "”" + (element.tail or "")
        elif name == "title" and parent is not None and local(parent) == "example":
            parent.remove(element)
