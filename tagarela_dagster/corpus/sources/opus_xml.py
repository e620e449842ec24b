"""One OPUS subtitle file: sentences, tokens put back together, and its ``<meta>``.

``<s>`` is a sentence. The raw flavour has its text beside ``<time>`` marks; the xml flavour has a
``<w>`` a token, whose spacing is restored. ``<meta>`` stands at the end, complete in older files
and all but empty in newer ones. Some files are malformed and are recovered as far as they go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.archive import Entry, reject_file
from tagarela_dagster.corpus.sources.labels import date_of
from tagarela_dagster.corpus.sources.markup_xml import local, plain
from tagarela_dagster.corpus.sources.prose import detokenise
from tagarela_dagster.corpus.sources.subtitle_text import is_credit, plain_line
from tagarela_dagster.corpus.sources.xml_entry import parse_entry

MAX_BYTES = 50_000_000
"""Largest file; a long film with its tokens has some 2 MB."""
KEPT = {
    "subtitle": ("language", "rating", "confidence", "blocks", "duration", "machine_translated"),
    "source": ("original", "country", "genre", "year"),
    "conversion": ("encoding", "unknown_words", "corrected_words", "ignored_blocks"),
}
"""Fields of ``<meta>`` that are kept; ``encoding`` as ``original_encoding``."""


@dataclass
class Upload:
    """One subtitle file, as it is compared with other uploads of its film."""

    document: Document
    name: str
    identifier: str
    rating: float
    sentences: int
    film: tuple[str, ...] = field(default=())


def read_upload(entry: Entry, identifier: str, imdb: str | None) -> Upload | Rejected:
    """Parse one file.

    Args:
        identifier: the upload's number.
        imdb: the film's number, None when it is not known.
    """
    found = parse_entry(entry, MAX_BYTES)
    if isinstance(found, Rejected):
        return found
    payload, parsed = found
    sentences = [text for text in map(_sentence, _sentences(parsed.root)) if text]
    kept = [text for text in sentences if not is_credit(text)]
    if not kept:
        if parsed.errors:
            return reject_file(entry, payload, "malformed", parsed.first_error)
        return reject_file(entry, payload, "no_text", "no sentence has any text", False)
    meta = parsed.meta | _meta(parsed.root)
    meta["sentences"] = len(kept)
    if len(kept) < len(sentences):
        meta["credits_removed"] = len(sentences) - len(kept)
    date = date_of(meta.pop("date", None))
    document = Document(native_id=entry.name, text="\n".join(kept), date=date, meta=meta)
    rating = meta.get("rating")
    return Upload(
        document,
        entry.name,
        identifier,
        rating if isinstance(rating, float) else 0.0,
        len(kept),
    )


def _sentences(root: etree._Element) -> Iterator[etree._Element]:
    return (element for element in root.iter() if local(element) == "s")


def _sentence(sentence: etree._Element) -> str:
    tokens: list[tuple[str, bool]] = []
    texts: list[str] = []
    _walk(sentence, tokens, texts)
    if not tokens:
        return plain_line(" ".join(texts))
    return plain_line(_spaced(tokens))


def _walk(element: etree._Element, tokens: list[tuple[str, bool]], texts: list[str]) -> None:
    """Tokens (and whether a space may follow) and loose text of a sentence, in order.

    A sentence or the file's ``<meta>`` inside it (an end tag was lost) is left to itself.
    """
    if local(element) == "w":
        spaced = "SpaceAfter=No" not in (element.get("misc") or "")
        tokens.append((plain(element), spaced))
        return
    texts.append(element.text or "")
    for child in element:
        if local(child) not in ("s", "meta"):
            _walk(child, tokens, texts)
            texts.append(child.tail or "")


def _spaced(tokens: list[tuple[str, bool]]) -> str:
    """Text by the annotation of spaces where there is one (parsed files), else by rule."""
    if all(spaced for _, spaced in tokens):
        return detokenise(token for token, _ in tokens)
    return "".join(f"{token} " if spaced else token for token, spaced in tokens)


def _meta(root: etree._Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in (child for child in root.iter() if local(child) in KEPT):
        for item in part:
            name, value = local(item), plain(item)
            if name == "date" and local(part) == "subtitle":
                found["date"] = value
            elif value and name in KEPT[local(part)]:
                found["original_encoding" if name == "encoding" else name] = _value(name, value)
    return found


def _value(name: str, value: str) -> Any:
    if name == "machine_translated":
        return value not in ("0", "false")
    if name in ("rating", "confidence"):
        try:
            return float(value)
        except ValueError:
            return value
    return int(value) if value.isdigit() else value
