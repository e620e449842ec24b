"""Loose files as people keep them: text, Markdown, JSONL, and a zip of text files.

Settings of an item: ``licence`` (JSONL), ``bytes`` (``cp1252``, or ``garbage``), ``empty``.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tagarela_dagster.provenance.files import atomic_path
from tagarela_dagster.sample.formats.context import Context
from tagarela_dagster.sample.formats.mojibake import as_garbage
from tagarela_dagster.sample.plan import Item

PACKED = (2026, 2, 1, 0, 0, 0)
LICENCE = "CC0-1.0"


def write(path: Path, items: Sequence[Item], context: Context) -> dict[str, str]:
    """Write one file by its ending; a ``.txt`` or ``.md`` file holds one item."""
    name = context.file
    if path.suffix == ".jsonl":
        data = "".join(json.dumps(_row(i, context), ensure_ascii=False) + "\n" for i in items)
        ids = {item.label: item.label for item in items}
    elif path.suffix == ".zip":
        return _zip(path, name, items, context)
    else:
        (item,) = items
        data = _text(item, context, path.suffix)
        ids = {item.label: name}
    encoding = "cp1252" if items[0].has.get("bytes") == "cp1252" else "utf-8"
    raw = as_garbage(data) if items[0].has.get("bytes") == "garbage" else data.encode(encoding)
    with atomic_path(path) as partial:
        partial.write_bytes(raw)
    return ids


def _text(item: Item, context: Context, suffix: str) -> str:
    if item.has.get("empty"):
        return ""
    prose = context.prose(item)
    head = f"# {prose.title}\n\n" if suffix == ".md" else ""
    return f"{head}{prose.text}\n"


def _row(item: Item, context: Context) -> dict[str, str]:
    prose = context.prose(item)
    return {
        "id": item.label,
        "titulo": prose.title,
        "texto": prose.text,
        "licenca": item.has.get("licence", LICENCE),
        "variedade": prose.language,
    }


def _zip(path: Path, name: str, items: Sequence[Item], context: Context) -> dict[str, str]:
    ids: dict[str, str] = {}
    with atomic_path(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for item in items:
            member = f"{path.stem}/{item.label}.txt"
            info = zipfile.ZipInfo(member, PACKED)
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, _text(item, context, ".txt").encode(), compresslevel=9)
            ids[item.label] = f"{name}!{member}"
    return ids
