"""Senado Federal: lists of speeches in JSON and their full texts (Dados Abertos Legislativos).

``/senador/{code}/discursos`` and ``/plenario/lista/discursos/{from}/{to}`` give, at different
depths, ``Pronunciamento`` objects (one, or a list of them) with ``CodigoPronunciamento``, date,
summary and session, and no text. ``/discurso/texto-integral/{CodigoPronunciamento}`` gives the
text alone. A snapshot holds both: lists as ``*.json`` in any folders, texts as
``texto-integral/<CodigoPronunciamento>.txt`` (or ``.html``, compressed or in an archive). A list
whose objects carry the text themselves (``TextoIntegral``) needs no such files.

A whole snapshot is one unit, because a text and its list stand in different files.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
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
from tagarela_dagster.corpus.sources.unit import RawFile, Unit
from tagarela_dagster.recipe.sources import Source

MAX_BYTES = 64_000_000
TEXT_FIELDS = ("TextoIntegral", "textoIntegral", "TextoIntegralTxt", "Texto", "texto")
ADDRESS = "https://legis.senado.leg.br/dadosabertos/discurso/texto-integral/"

_JSON = re.compile(r"\.json(?:\.\w+)?$", re.IGNORECASE)
_TEXT = re.compile(r"(?:^|/)(\d+)(?:\.(?:txt|html?))?(?:\.(?:gz|bz2|xz|zst))?$", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,500}>")
_BREAK = re.compile(r"<(?:br|/p|/div|/tr|/h\d)\b[^<>]*>", re.IGNORECASE)


def plan(files: Sequence[RawFile], source: Source) -> list[Unit]:
    """One unit with every file, lists before texts."""
    ordered = sorted(files, key=lambda file: (not _JSON.search(file.name), file.name))
    return [Unit("discursos", tuple(ordered))] if ordered else []


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every speech whose text is there.

    Rejections: ``bad_json``, ``encoding``, ``too_large``, what ``archive`` and ``compressed`` say
    of damage; not quarantined: ``no_text`` (listed, but its text is not in the snapshot or is
    empty), ``repeated`` (listed or given twice), ``other_file``.
    """
    listed: dict[str, tuple[str, dict[str, Any]]] = {}
    done: set[str] = set()
    for file in unit.files:
        for entry in entries(file):
            if isinstance(entry, Rejected):
                yield entry
            elif _JSON.search(entry.path):
                yield from _list(entry, listed, done)
            elif match := _TEXT.search(entry.path):
                yield _text(entry, match[1], listed, done)
            else:
                detail = "neither a JSON list nor a text named by its number"
                yield Rejected(entry.name, "byte 0", "other_file", detail, 0, False)
    for code, (name, _) in listed.items():
        if code not in done:
            detail = f"the text of {code} is not in the snapshot"
            yield Rejected(name, f"CodigoPronunciamento {code}", "no_text", detail, 0, False)


def _list(
    entry: Entry, listed: dict[str, tuple[str, dict[str, Any]]], done: set[str]
) -> Iterator[Document | Rejected]:
    payload = _payload(entry)
    if isinstance(payload, Rejected):
        yield payload
        return
    try:
        tree = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        yield reject_file(entry, payload.encode(), "bad_json", str(error))
        return
    found = 0
    for speech in _speeches(tree, {}):
        found += 1
        code = str(speech["CodigoPronunciamento"])
        where = f"CodigoPronunciamento {code}"
        if code in listed:
            detail = f"{code} is in {listed[code][0]} too"
            yield Rejected(entry.name, where, "repeated", detail, 0, False)
            continue
        text = next((speech[name] for name in TEXT_FIELDS if speech.get(name)), None)
        listed[code] = (entry.name, _meta(speech))
        if isinstance(text, str):
            done.add(code)
            yield _document(entry.name, where, code, text, listed[code][1])
    if not found:
        detail = "no object in it has a CodigoPronunciamento"
        yield reject_file(entry, payload.encode(), "no_text", detail, quarantined=False)


def _text(
    entry: Entry, code: str, listed: dict[str, tuple[str, dict[str, Any]]], done: set[str]
) -> Document | Rejected:
    payload = _payload(entry)
    if isinstance(payload, Rejected):
        done.add(code)
        return payload
    if code in done:
        size = len(payload.encode())
        detail = f"the text of {code} was given already"
        return Rejected(entry.name, "byte 0", "repeated", detail, size, False)
    done.add(code)
    meta = listed[code][1] if code in listed else {}
    return _document(entry.name, "byte 0", code, payload, meta)


def _payload(entry: Entry) -> str | Rejected:
    payload = b""
    try:
        payload = read_all(entry.stream, MAX_BYTES)
        return decode_text(payload).text
    except CompressedError as error:
        return rejected(error, entry.name)
    except EncodingError as error:
        return reject_file(entry, payload, "encoding", str(error))


def _document(
    name: str, where: str, code: str, raw: str, meta: dict[str, Any]
) -> Document | Rejected:
    heading, text = speaker_heading(tidy(_without_tags(raw)))
    if not text:
        return Rejected(name, where, "no_text", "the text is empty", len(raw.encode()), False)
    kept = {key: value for key, value in meta.items() if key not in ("date", "title")}
    if heading:
        kept["speaker"] = heading
    return Document(
        native_id=code,
        text=text,
        url=f"{ADDRESS}{code}",
        date=date_of(meta.get("date")),
        title=meta.get("title"),
        variety="pt-BR",
        meta=kept,
    )


def _speeches(tree: Any, context: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Objects with a ``CodigoPronunciamento``, with the names and dates that stand above them."""
    if isinstance(tree, list):
        for item in tree:
            yield from _speeches(item, context)
    elif isinstance(tree, dict):
        if tree.get("CodigoPronunciamento"):
            yield context | tree
            return
        person = tree.get("IdentificacaoParlamentar")
        above = dict(context)
        if isinstance(person, dict) and person.get("NomeParlamentar"):
            above["NomeAutor"] = person["NomeParlamentar"]
        if tree.get("DataSessao"):
            above["DataPronunciamento"] = tree["DataSessao"]
        for value in tree.values():
            yield from _speeches(value, above)


def _meta(speech: dict[str, Any]) -> dict[str, Any]:
    use = speech.get("TipoUsoPalavra")
    found = {
        "date": speech.get("DataPronunciamento"),
        "title": one_line(str(speech.get("TextoResumo") or ""))[:200],
        "autor": speech.get("NomeAutor"),
        "partido": speech.get("SiglaPartidoParlamentarNaData") or speech.get("Partido"),
        "uf": speech.get("UfParlamentarNaData") or speech.get("UF"),
        "casa": speech.get("SiglaCasaPronunciamento"),
        "tipo": use.get("Descricao") if isinstance(use, dict) else use,
        "indexacao": speech.get("Indexacao"),
    }
    return {key: value for key, value in found.items() if value}


def _without_tags(text: str) -> str:
    """Plain text of what is sometimes served as HTML."""
    if not _TAG.search(text):
        return text
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", text)))
