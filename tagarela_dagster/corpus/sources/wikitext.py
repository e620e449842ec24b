"""Wikitext to plain text: the article's prose, headings and lists, without its apparatus.

mwparserfromhell parses; this module says what of the tree is text. Left out: templates (but for
those in ``wikitext_templates``), tables, references, galleries, formulas, source code, files
with their captions, categories, links to other languages, comments, and the sections in
``APPARATUS`` with all they hold. Kept: headings as lines, list items as lines with "- ", labels
of links. A heading with nothing under it goes too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import mwparserfromhell
from mwparserfromhell.nodes import (
    ExternalLink,
    Heading,
    HTMLEntity,
    Node,
    Tag,
    Template,
    Text,
    Wikilink,
)
from mwparserfromhell.wikicode import Wikicode

from tagarela_dagster.corpus.sources.wikitext_templates import inline_text

APPARATUS = {
    "referências",
    "referências bibliográficas",
    "referências gerais",
    "notas",
    "notas e referências",
    "referências e notas",
    "notas de rodapé",
    "notas e citações",
    "ligações externas",
    "ligação externa",
    "links externos",
    "ver também",
    "veja também",
    "bibliografia",
    "bibliografia adicional",
    "leitura adicional",
    "leituras adicionais",
    "leitura recomendada",
    "fontes",
    "galeria",
    "galeria de imagens",
    "galeria de fotos",
}
"""Titles of sections that are left out with their sub-sections, in lower case."""

DROPPED_TAGS = {
    "ref",
    "references",
    "gallery",
    "table",
    "math",
    "chem",
    "ce",
    "score",
    "timeline",
    "syntaxhighlight",
    "source",
    "imagemap",
    "graph",
    "mapframe",
    "maplink",
    "templatestyles",
    "templatedata",
    "includeonly",
    "style",
    "script",
    "hiero",
    "inputbox",
}
MAX_DEPTH = 40
"""Nesting below this is no prose; its text is left out."""

_ITEM = "\ue000"
_NO_LEVEL = 7  # headings have levels 1 to 6
_FILES = {"ficheiro", "arquivo", "imagem", "file", "image", "media", "categoria", "category"}
_LANGUAGE = re.compile(r"^(?:[a-z]{2,3}|simple|[a-z]{2,3}-[a-z-]{2,10}|be-x-old)$")
_SWITCH = re.compile(r"__[A-ZÁÉÍÓÚÂÊÔÃÕÇ]{3,30}__")
_QUOTES = re.compile(r"'{2,}")
_LEFTOVER = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}")
_EMPTY_BRACKETS = re.compile(r" ?\((?:[\s,;:.–—-]|ou|em|e)*\)")
_SPACE_BEFORE = re.compile(r"[ \t]+([,;:.!?)])(?=\s|$)")
_BLANKS = re.compile(r"[ \t\u00a0\u2009\u202f\u200b]+")
_PARAGRAPHS = re.compile(r"\n{3,}")
_TABLE_LINE = re.compile(r"^\s*(?:\||!|\{\|)")


def plain_text(wikitext: str) -> str:
    """Text of an article; "" when nothing of it is prose. Raises what the parser raises."""
    code = mwparserfromhell.parse(wikitext.replace(_ITEM, ""), skip_style_tags=True)
    sections: list[tuple[int, str, list[Node]]] = [(0, "", [])]
    for node in code.nodes:
        if isinstance(node, Heading):
            sections.append((node.level, _clean(_text(node.title.nodes, 0)), []))
        else:
            sections[-1][2].append(node)
    parts: list[tuple[int, str, str]] = []
    left_out = _NO_LEVEL
    for level, title, nodes in sections:
        if level > left_out:
            continue
        apparatus = title.casefold().strip(" :.") in APPARATUS
        left_out = level if apparatus else _NO_LEVEL
        if not apparatus:
            parts.append((level, title, _clean(_text(nodes, 0))))
    blocks = []
    for place, (level, title, text) in enumerate(parts):
        if title and (text or _text_below(parts[place + 1 :], level)):
            blocks.append(title)
        if text:
            blocks.append(text)
    return "\n\n".join(blocks)


def _text_below(parts: list[tuple[int, str, str]], level: int) -> bool:
    """Whether a sub-section of a heading of ``level`` has text."""
    for deeper, _, text in parts:
        if deeper <= level:
            return False
        if text:
            return True
    return False


def _text(nodes: Iterable[Node], depth: int) -> str:
    return "".join(_node_text(node, depth) for node in nodes)


def _node_text(node: Node, depth: int) -> str:
    if isinstance(node, Text):
        return str(node.value)
    if depth > MAX_DEPTH:
        return ""
    if isinstance(node, Wikilink):
        return _link_text(node, depth)
    if isinstance(node, HTMLEntity):
        character = str(node.normalize())
        return "" if "\ud800" <= character <= "\udfff" else character
    if isinstance(node, Tag):
        return _tag_text(node, depth)
    if isinstance(node, Template):
        return _template_text(node, depth)
    if isinstance(node, ExternalLink):
        return _text(node.title.nodes, depth + 1) if node.title else ""
    if isinstance(node, Heading):
        return f"\n\n{_text(node.title.nodes, depth + 1)}\n\n"
    return ""


def _link_text(link: Wikilink, depth: int) -> str:
    title = str(link.title).strip()
    prefix, colon, rest = title.partition(":")
    if colon and prefix.strip().casefold() in _FILES:
        return ""
    if colon and not rest.startswith(" ") and _LANGUAGE.match(prefix):
        return ""
    if link.text is not None and (label := _text(link.text.nodes, depth + 1)):
        return label
    title = title.lstrip(":")
    if link.text is not None:
        # The pipe trick: an empty label shows the title without what tells it apart.
        title = re.sub(r"\s*\([^)]*\)$", "", title)
    return title.replace("_", " ")


def _tag_text(tag: Tag, depth: int) -> str:
    name = str(tag.tag).strip().casefold()
    if tag.wiki_markup in ("*", "#"):
        return _ITEM
    if name in DROPPED_TAGS:
        return ""
    if name in ("br", "hr") or tag.wiki_markup:
        return "\n" if name in ("br", "hr") else ""
    contents = tag.contents
    if contents is None or isinstance(contents, str):
        return contents or ""
    text = _text(contents.nodes, depth + 1)
    if name == "li":
        return f"\n{_ITEM}{text}\n"
    return f"\n\n{text}\n\n" if name in ("p", "div", "blockquote", "poem", "center") else text


def _template_text(template: Template, depth: int) -> str:
    def argument(name: str) -> str | None:
        if not template.has(name, ignore_empty=False):
            return None
        value: Wikicode = template.get(name).value
        return _text(value.nodes, depth + 1).strip()

    return inline_text(str(template.name).strip(), argument)


def _clean(text: str) -> str:
    text = _LEFTOVER.sub("", _QUOTES.sub("", _SWITCH.sub("", text)))
    lines = []
    for line in text.split("\n"):
        if _TABLE_LINE.match(line):
            # The rest of a table or template that is not closed.
            continue
        item = line.lstrip().startswith(_ITEM)
        line = _BLANKS.sub(" ", line.replace(_ITEM, "")).strip()
        line = _SPACE_BEFORE.sub(r"\1", _EMPTY_BRACKETS.sub("", line)).strip()
        if not line and item:
            continue
        lines.append(f"- {line}" if item else line)
    return _PARAGRAPHS.sub("\n\n", "\n".join(lines)).strip()
