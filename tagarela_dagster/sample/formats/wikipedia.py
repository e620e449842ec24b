"""Wikipedia: a multistream dump (``…-multistream.xml.bz2``) and its index beside it.

Streams hold ``PAGES`` pages instead of Wikimedia's 100, so that a small dump has several.
Settings of an item: ``kind`` (``page``, ``redirect``, ``disambiguation``, ``talk``), ``title``
(of a page without prose), ``to`` (target of a redirect, titles of a disambiguation page),
``heads`` (headings over the paragraphs after the first), ``edited`` (day of the revision).
"""

from __future__ import annotations

import bz2
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from tagarela_dagster.provenance.files import atomic_path
from tagarela_dagster.sample.formats.context import TEMPLATES, Context
from tagarela_dagster.sample.formats.wikitext import article, disambiguation, sha1_base36, talk
from tagarela_dagster.sample.plan import Item

PAGES = 8
TAIL = "</mediawiki>\n"


def write(path: Path, items: Sequence[Item], context: Context) -> dict[str, str]:
    """Write the dump and its index."""
    titles = {context.prose(item).title for item in items if item.text}
    pages = sorted(
        ((_page_id(item, context), _title(item, context), item) for item in items),
        key=lambda page: page[0],
    )
    if len({page_id for page_id, _, _ in pages}) < len(pages):
        raise ValueError(f"{path.name}: two pages have the same id")
    data, index = bz2.compress((TEMPLATES / "mediawiki.xml").read_bytes()), []
    ids: dict[str, str] = {}
    for start in range(0, len(pages), PAGES):
        xml = ""
        for page_id, title, item in pages[start : start + PAGES]:
            index.append(f"{len(data)}:{page_id}:{title}\n")
            xml += _page(page_id, title, item, context, titles)
            ids[item.label] = str(page_id)
        data += bz2.compress(xml.encode())
    data += bz2.compress(TAIL.encode())
    with atomic_path(path) as partial:
        partial.write_bytes(data)
    name = path.name.replace("-multistream.xml.bz2", "-multistream-index.txt.bz2")
    with atomic_path(path.with_name(name)) as partial:
        partial.write_bytes(bz2.compress("".join(index).encode()))
    return ids


def _page_id(item: Item, context: Context) -> int:
    return 1000 + context.number(item.label, 900_000)


def _title(item: Item, context: Context) -> str:
    return str(item.has.get("title") or context.prose(item).title)


def _page(page_id: int, title: str, item: Item, context: Context, titles: set[str]) -> str:
    kind = item.has.get("kind", "page")
    redirect = ""
    if kind == "redirect":
        text = f"#REDIRECIONAMENTO [[{item.has['to']}]]"
        redirect = f"    <redirect title={quoteattr(item.has['to'])} />\n"
    elif kind == "disambiguation":
        text = disambiguation(title, item.has["to"])
    elif kind == "talk":
        text = talk(item.has["to"])
    else:
        text = article(context.prose(item), titles, item.has.get("heads", []))
    edited = str(item.has.get("edited", "2026-03-14"))
    revision = 60_000_000 + context.number(f"{item.label}{edited}", 9_000_000)
    digest = sha1_base36(text)
    size = len(text.encode())
    return f"""  <page>
    <title>{escape(title)}</title>
    <ns>{1 if kind == "talk" else 0}</ns>
    <id>{page_id}</id>
{redirect}    <revision>
      <id>{revision}</id>
      <parentid>{revision - 1}</parentid>
      <timestamp>{edited}T10:{page_id % 60:02d}:00Z</timestamp>
      <contributor>
        <username>Amostra</username>
        <id>1</id>
      </contributor>
      <comment>texto escrito para a amostra</comment>
      <origin>{revision}</origin>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text bytes="{size}" sha1="{digest}" xml:space="preserve">{escape(text)}</text>
      <sha1>{digest}</sha1>
    </revision>
  </page>
"""
