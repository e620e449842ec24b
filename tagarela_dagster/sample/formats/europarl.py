"""Europarl v7, source release: one file a day, tags on lines of their own.

Two ways of writing the tags occur in the release, without quotes before 2000 and with them
later. Settings of an item: ``chapter`` (a title: the item begins a new chapter), ``language`` (the
speaker's own, where it is not Portuguese).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.sample.formats.context import Context
from tagarela_dagster.sample.plan import Item


def write(path: Path, items: Sequence[Item], context: Context) -> dict[str, str]:
    """Write one day."""
    quote = "" if path.name < "ep-00" or path.name > "ep-90" else '"'
    lines: list[str] = []
    chapter = 0
    for speaker, item in enumerate(items, 1):
        prose = context.prose(item)
        if title := item.has.get("chapter"):
            chapter += 1
            lines += [f"<CHAPTER ID={quote}{chapter}{quote}>", title]
        language = item.has.get("language")
        spoken = f' LANGUAGE="{language}"' if language else ""
        lines.append(f'<SPEAKER ID={quote}{speaker}{quote}{spoken} NAME="{prose.title}">')
        lines += "\n<P>\n".join(prose.paragraphs).split("\n")
    with atomic_write(path) as file:
        file.write("\n".join(lines) + "\n")
    return {item.label: f"{path.name}#{n}" for n, item in enumerate(items, 1)}
