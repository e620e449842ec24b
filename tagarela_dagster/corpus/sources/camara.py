"""Câmara dos Deputados: JSON pages of ``/deputados/{id}/discursos`` (Dados Abertos, API v2).

A page is ``{"dados": [speech, …], "links": [{"rel", "href"}, …]}``; a document is a speech with a
``transcricao``. The API gives speeches no identifier: it is the deputy (from the page's own links
or its file name) and the time at which the speech began. Pages may be compressed or in archives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.archive import Entry, entries, reject_file, rejected
from tagarela_dagster.corpus.sources.damage import CompressedError
from tagarela_dagster.corpus.sources.decoding import EncodingError, decode_text
from tagarela_dagster.corpus.sources.labels import date_of
from tagarela_dagster.corpus.sources.prose import one_line, tidy
from tagarela_dagster.corpus.sources.speaker import speaker_heading
from tagarela_dagster.corpus.sources.stream import read_all
from tagarela_dagster.corpus.sources.unit import Unit
from tagarela_dagster.recipe.sources import Source

MAX_BYTES = 64_000_000
"""Largest page; one of 100 speeches has some 1 MB."""
_DEPUTY = re.compile(r"/deputados/(\d+)")
_JSON = re.compile(r"\.json(?:\.\w+)?$", re.IGNORECASE)
_KEPT = ("tipoDiscurso", "keywords", "sumario", "uriEvento")


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every speech of the unit's pages.

    Rejections: ``bad_json``, ``bad_record``, ``encoding``, ``too_large``, what ``archive`` and
    ``compressed`` say of damage; not quarantined: ``no_text`` (a speech without transcript),
    ``other_file``.
    """
    seen: dict[str, int] = {}
    for file in unit.files:
        for entry in entries(file):
            if isinstance(entry, Rejected):
                yield entry
            elif not _JSON.search(entry.path):
                detail = "not a JSON file by its name"
                yield Rejected(entry.name, "byte 0", "other_file", detail, 0, False)
            else:
                yield from _page(entry, seen)


def _page(entry: Entry, seen: dict[str, int]) -> Iterator[Document | Rejected]:
    payload = b""
    try:
        payload = read_all(entry.stream, MAX_BYTES)
        page = orjson.loads(decode_text(payload).text)
    except CompressedError as error:
        yield rejected(error, entry.name)
        return
    except EncodingError as error:
        yield reject_file(entry, payload, "encoding", str(error))
        return
    except orjson.JSONDecodeError as error:
        yield reject_file(entry, payload, "bad_json", str(error))
        return
    speeches = page.get("dados") if isinstance(page, dict) else page
    if isinstance(speeches, dict):
        speeches = [speeches]
    if not isinstance(speeches, list):
        yield reject_file(entry, payload, "bad_json", "the page has no list 'dados'")
        return
    deputy = _deputy(page, entry.path)
    for place, speech in enumerate(speeches):
        yield _speech(entry, speech, f"dados[{place}]", deputy, seen)


def _speech(
    entry: Entry, speech: Any, where: str, deputy: str, seen: dict[str, int]
) -> Document | Rejected:
    size = len(orjson.dumps(speech))
    if not isinstance(speech, dict) or not isinstance(speech.get("transcricao") or "", str):
        return Rejected(entry.name, where, "bad_record", "it is not a speech", size)
    begin = str(speech.get("dataHoraInicio") or "")
    heading, text = speaker_heading(tidy(speech.get("transcricao") or ""))
    if not text:
        detail = f"{begin} {one_line(speech.get('sumario'))[:100]}: no transcript"
        return Rejected(entry.name, where, "no_text", detail.strip(), size, False)
    native_id = f"{deputy}/{begin}" if begin else f"{entry.name}#{where}"
    # Speeches handed in for the record share the hour of the session.
    count = seen[native_id] = seen.get(native_id, 0) + 1
    meta = {key: value for key in _KEPT if (value := speech.get(key))}
    phase = speech.get("faseEvento")
    if isinstance(phase, dict) and phase.get("titulo"):
        meta["fase"] = phase["titulo"]
    if heading:
        meta["speaker"] = heading
    return Document(
        native_id=native_id if count == 1 else f"{native_id}#{count}",
        text=text,
        url=speech.get("urlTexto") or None,
        date=date_of(begin),
        title=one_line(speech.get("sumario"))[:200] or None,
        variety="pt-BR",
        meta=meta | ({"deputado": deputy} if deputy.isdigit() else {}),
    )


def _deputy(page: Any, path: str) -> str:
    """Number of the deputy, else the name of the file."""
    links = page.get("links") if isinstance(page, dict) else None
    for link in links if isinstance(links, list) else []:
        match = _DEPUTY.search(str(link.get("href", "")) if isinstance(link, dict) else "")
        if match:
            return match[1]
    name = path.rsplit("/", 1)[-1]
    digits = re.search(r"\d{4,}", name)
    return digits.group() if digits else name
