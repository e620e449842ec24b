"""Plain SRT subtitles: a file is a document, in a folder or an archive of them."""

from __future__ import annotations

from collections.abc import Iterator

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.archive import Entry, entries, reject_file, rejected
from tagarela_dagster.corpus.sources.damage import CompressedError
from tagarela_dagster.corpus.sources.decoding import EncodingError, decode_text
from tagarela_dagster.corpus.sources.stream import read_all
from tagarela_dagster.corpus.sources.subtitle_text import srt_dialogue
from tagarela_dagster.corpus.sources.unit import Unit
from tagarela_dagster.recipe.sources import Source

MAX_BYTES = 10_000_000
"""Largest SRT file; a film's has some 100 kB."""


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every subtitle file of the unit.

    Rejections: ``not_srt`` (no timing line), ``no_text``, ``encoding``, ``too_large``, what
    ``archive`` and ``compressed`` say of damage; not quarantined: ``other_file``.
    """
    for file in unit.files:
        for entry in entries(file):
            if isinstance(entry, Rejected):
                yield entry
            elif ".srt" not in entry.path.lower().rsplit("/", 1)[-1]:
                detail = "not an SRT file by its name"
                yield Rejected(entry.name, "byte 0", "other_file", detail, 0, False)
            else:
                yield read_entry(entry)


def read_entry(entry: Entry) -> Document | Rejected:
    """The document of one SRT file."""
    try:
        payload = read_all(entry.stream, MAX_BYTES)
    except CompressedError as error:
        return rejected(error, entry.name)
    try:
        decoded = decode_text(payload)
    except EncodingError as error:
        return reject_file(entry, payload, "encoding", str(error))
    dialogue = srt_dialogue(decoded.text)
    if not dialogue.cues:
        return reject_file(entry, payload, "not_srt", "there is no timing line in it")
    if not dialogue.text:
        return reject_file(entry, payload, "no_text", "nothing is spoken in it", quarantined=False)
    meta: dict[str, object] = {"cues": dialogue.cues}
    if dialogue.credits:
        meta["credits_removed"] = dialogue.credits
    if decoded.encoding != "utf-8":
        meta["encoding"] = decoded.encoding
    return Document(native_id=entry.name, text=dialogue.text, meta=meta)
