"""Europarl v7, source release: one file a day, tags on lines of their own.

Two ways of writing the tags occur in the release, without quotes before 2000 and with them
later. Settings of an item: ``title`` of the chapter, ``languages`` (text -> the speaker's own
language, where it is not Portuguese).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.sample.formats.context import Context
from tagarela_dagster.sample.plan import Item


def write(path: Path, items: Sequence[Item], context: Context) -> dict[str, str]:
    """Write one day; an item is a chapter, its texts are speeches."""
    old = "ep-90" < path.name < "ep-99"
    quote = "" if old else '"'
    lines: list[str] = []
    ids: dict[str, str] = {}
    speaker = 0
    for chapter, item in enumerate(items, 1):
        lines += [f"<CHAPTER ID={quote}{chapter}{quote}>", item.has["title"]]
        for prose in context.proses(item):
            speaker += 1
            language = item.has.get("languages", {}).get(prose.slug)
            spoken = f' LANGUAGE="{language}"' if language else ""
            lines.append(f'<SPEAKER ID={quote}{speaker}{quote}{spoken} NAME="{prose.title}">')
            lines += "\n<P>\n".join(prose.paragraphs).split("\n")
        ids[item.label] = f"{path.name}#{chapter}"
    with atomic_write(path) as file:
        file.write("\n".join(lines) + "\n")
    return ids
