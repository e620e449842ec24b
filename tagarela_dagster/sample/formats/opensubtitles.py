"""OpenSubtitles as OPUS packs it: ``<language>.zip`` of one XML file an upload.

Members are ``OpenSubtitles/<flavour>/<language>/<year>/<imdb>/<id>.xml``. Settings of an item:
``flavour`` (``raw``, or ``xml`` with a ``<w>`` a token), ``year``, ``imdb`` (4294967295: none),
``malformed`` (an ampersand and a tag that break the XML), ``bare`` (the short ``<meta>`` of newer
uploads), ``upload`` (number of the file, where a film has several).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tagarela_dagster.provenance.files import atomic_path
from tagarela_dagster.sample.formats.context import Context
from tagarela_dagster.sample.plan import Item
from tagarela_dagster.sample.prose import Prose

PACKED = (2018, 1, 15, 0, 0, 0)
NO_IMDB = 4294967295
LANGUAGES = {"pt": "Portuguese", "pt_br": "Portuguese (BR)"}

_TOKEN = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]+")


def write(path: Path, items: Sequence[Item], context: Context) -> dict[str, str]:
    """Write one zip file."""
    language = path.stem
    ids: dict[str, str] = {}
    with atomic_path(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for item in items:
            prose = context.prose(item)
            flavour = item.has.get("flavour", "raw")
            upload = item.has.get("upload", 3_000_000 + context.number(item.label, 4_000_000))
            imdb = item.has.get("imdb", 100_000 + context.number(item.text + "i", 900_000))
            year = item.has.get("year", 1970 + context.number(item.text + "y", 45))
            name = f"OpenSubtitles/{flavour}/{language}/{year}/{imdb}/{upload}.xml"
            info = zipfile.ZipInfo(name, PACKED)
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
            info.external_attr = 0o644 << 16
            xml = _document(prose, upload, year, item, flavour, LANGUAGES[language])
            archive.writestr(info, xml.encode(), compresslevel=9)
            ids[item.label] = f"{imdb}/{upload}"
    return ids


def _document(prose: Prose, upload: int, year: int, item: Item, flavour: str, language: str) -> str:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f'<document id="{upload}">']
    clock = 41_200
    broken = item.has.get("malformed", False)
    for number, sentence in enumerate(prose.lines, 1):
        shown = 900 + 55 * len(sentence)
        content = _words(sentence, number) if flavour == "xml" else [f"    {escape(sentence)}"]
        if broken and number == 5:
            content = [f"    <i>{sentence} & mais"]
        lines += [
            f'  <s id="{number}">',
            f'    <time id="T{number}S" value="{_clock(clock)}" />',
            *content,
            f'    <time id="T{number}E" value="{_clock(clock + shown)}" />',
            "  </s>",
        ]
        clock += shown + 700
    lines += _meta(prose, year, clock, item, language)
    return "\n".join([*lines, "</document>", ""])


def _words(sentence: str, number: int) -> list[str]:
    tokens = _TOKEN.findall(sentence)
    return [f'    <w id="{number}.{n}">{escape(t)}</w>' for n, t in enumerate(tokens, 1)]


def _meta(prose: Prose, year: int, clock: int, item: Item, language: str) -> list[str]:
    conversion = [
        "    <conversion>",
        "      <encoding>utf-8</encoding>",
        f"      <sentences>{len(prose.lines)}</sentences>",
        f"      <tokens>{len(_TOKEN.findall(prose.text))}</tokens>",
        "      <ignored_blocks>0</ignored_blocks>",
        "      <unknown_words>0</unknown_words>",
        "    </conversion>",
    ]
    if item.has.get("bare"):
        return ["  <meta>", *conversion, "  </meta>"]
    country = "Brazil" if "BR" in language else "Portugal"
    return [
        "  <meta>",
        "    <subtitle>",
        f"      <duration>{_clock(clock)}</duration>",
        f"      <language>{language}</language>",
        "      <rating>0.0</rating>",
        "      <version>1</version>",
        "      <confidence>1.0</confidence>",
        f"      <blocks>{len(prose.lines)}</blocks>",
        "      <machine_translated>0</machine_translated>",
        "      <cds>1/1</cds>",
        f"      <date>{min(year + 8, 2017)}-05-04</date>",
        "    </subtitle>",
        *conversion,
        "    <source>",
        f"      <year>{year}</year>",
        f"      <country>{country}</country>",
        "      <genre>Drama</genre>",
        "      <original>Portuguese</original>",
        "    </source>",
        "  </meta>",
    ]


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d},{rest:03d}"
