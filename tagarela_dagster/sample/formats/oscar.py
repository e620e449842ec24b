"""OSCAR-2301: ``pt_part_N.jsonl.zst``, one record a line.

Shape: oscar-project/documentation, docs/versions/oscar-2301.md. ``tlsh``, ``harmful_pp`` and the
probabilities are invented values of the right form. Settings of an item: ``url``, ``page`` (the
record it was captured from again: same address), ``warnings`` (quality_warnings),
``mojibake`` (UTF-8 bytes read as Windows-1252), ``raw`` (``not_utf8`` or ``cut``: a damaged line).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zstandard

from tagarela_dagster.provenance.files import atomic_path
from tagarela_dagster.sample.formats.context import Context
from tagarela_dagster.sample.formats.mojibake import as_mojibake
from tagarela_dagster.sample.plan import Item

LEVEL = 9
HOSTS = {"pt-PT": "folhadoalvito.pt", "pt-BR": "diariodepedrafunda.com.br"}


def write(path: Path, items: Sequence[Item], context: Context) -> dict[str, str]:
    """Write the records in order."""
    ids: dict[str, str] = {}
    lines = []
    for item in items:
        record = _record(item, context)
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
        damage = item.has.get("raw")
        if damage == "not_utf8":
            line = line.decode().encode("cp1252", "replace")
        elif damage == "cut":
            line = line[: len(line) // 2]
        lines.append(line + b"\n")
        ids[item.label] = record["warc_headers"]["warc-record-id"]
    with atomic_path(path) as partial:
        data = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True).compress(
            b"".join(lines)
        )
        partial.write_bytes(data)
    return ids


def _record(item: Item, context: Context) -> dict[str, Any]:
    prose = context.prose(item)
    content = "\n".join(prose.lines)
    if item.has.get("mojibake"):
        content = as_mojibake(content)
    key = f"{context.snapshot}/{item.label}"
    day, second = 1 + context.number(key + "d", 27), context.number(key, 86_400)
    month = {"2022-49": "2022-12", "2023-06": "2023-02"}[context.snapshot]
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    digest = base64.b32encode(hashlib.sha1(content.encode()).digest()).decode()
    language = prose.language[:2]
    lines = content.split("\n")
    return {
        "content": content,
        "warc_headers": {
            "warc-record-id": f"<urn:uuid:{context.uuid(key, 'record')}>",
            "warc-target-uri": item.has.get("url") or _url(prose.language, item.label),
            "warc-date": f"{month}-{day:02d}T{clock}Z",
            "warc-type": "conversion",
            "content-length": str(len(content.encode())),
            "warc-refers-to": f"<urn:uuid:{context.uuid(key, 'refers')}>",
            "warc-block-digest": f"sha1:{digest}",
            "content-type": "text/plain",
            "warc-identified-content-language": {"en": "eng", "es": "spa", "gl": "glg"}.get(
                language, "por"
            ),
        },
        "metadata": {
            "identification": {"label": "pt", "prob": _share(context, key, 0.82, 0.99)},
            "harmful_pp": round(400 + context.number(key + "h", 900_000) / 100, 2),
            "tlsh": "tlsh:T1" + hashlib.sha256(content.encode()).hexdigest().upper() + "0F3A",
            "quality_warnings": item.has.get("warnings"),
            "categories": None,
            "sentence_identifications": [
                {"label": "pt", "prob": _share(context, f"{key}{number}", 0.85, 0.99)}
                if len(line) > 40
                else None
                for number, line in enumerate(lines)
            ],
        },
    }


def _url(language: str, label: str) -> str:
    host = HOSTS.get(language, "cadernosdeviagem.net")
    return f"https://www.{host}/{re.sub('[^a-z0-9]+', '-', label)}.html"


def _share(context: Context, key: str, low: float, high: float) -> float:
    return round(low + (high - low) * context.number(key + "p", 10_000) / 10_000, 7)
