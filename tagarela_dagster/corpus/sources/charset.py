"""Bytes of unknown encoding to text, with the damage counted.

Old Portuguese pages declare Latin-1 and hold UTF-8, or the other way round, so a declaration is a
hint. Order: byte order mark; strict UTF-8 (Latin-1 Portuguese is practically never valid UTF-8
by chance); mostly-UTF-8 with a few broken bytes; the declared encodings; detection, believed for
Unicode and Western European encodings only (short Portuguese texts are taken for Vietnamese or
Turkish); Windows-1252 where every byte has a meaning in it; UTF-8 with replacement characters.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

import cchardet

BROKEN_SHARE = 0.2
"""Text is UTF-8 with damage when at most this share of its non-ASCII sequences is invalid."""
DETECTED = {"cp1252", "iso8859-15", "mac-roman", "utf-16", "utf-16-le", "utf-16-be"}
"""Encodings, by Python's names, in which Portuguese pages are stored; others are not believed."""
MIN_CONFIDENCE = 0.5
"""A detection below this confidence is no better than a guess and is not used."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEQUENCE = re.compile(r"[^\x00-\x7f]")
_LATIN = {"iso8859-1", "ascii", "latin-1", "us-ascii"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, the encoding it was read in, and how many characters could not be decoded."""

    text: str
    encoding: str
    errors: int

    @property
    def error_share(self) -> float:
        """Undecodable characters as a share of all characters, 0 to 1."""
        return self.errors / len(self.text) if self.text else 0.0


def decode(payload: bytes, declared: Sequence[str | None] = ()) -> Decoded:
    """``payload`` as text; ``declared`` holds encoding names in the order of their authority."""
    for mark, encoding in _BOMS:
        if payload.startswith(mark):
            return _replacing(payload[len(mark) if encoding == "utf-8" else 0 :], encoding)
    try:
        return Decoded(payload.decode("utf-8"), "utf-8", 0)
    except UnicodeDecodeError:
        pass
    damaged = _replacing(payload, "utf-8")
    if damaged.errors <= BROKEN_SHARE * len(_SEQUENCE.findall(damaged.text)):
        return damaged
    guess = cchardet.detect(payload[:200_000])
    guessed = guess["encoding"] if (guess["confidence"] or 0) >= MIN_CONFIDENCE else None
    codecs_named = [codec_name(name) for name in declared]
    if codec_name(guessed) in DETECTED:
        codecs_named.append(codec_name(guessed))
    for codec in codecs_named:
        if codec is not None and codec != "utf-8":
            return _replacing(payload, codec)
    western = _replacing(payload, "cp1252")
    return damaged if western.errors else western


def codec_name(name: str | None) -> str | None:
    """Python's name of a codec, None when unknown; Latin-1 and ASCII mean Windows-1252.

    Source: WHATWG Encoding Standard, section 4.2 (labels ``iso-8859-1`` and ``ascii``).
    """
    if not name:
        return None
    try:
        found = codecs.lookup(name.strip().strip("\"'"))
    except (LookupError, ValueError):
        return None
    if not found._is_text_encoding:
        return None
    return "cp1252" if found.name in _LATIN else found.name


def _replacing(payload: bytes, encoding: str) -> Decoded:
    text = payload.decode(encoding, errors="replace")
    genuine = payload.count("\N{REPLACEMENT CHARACTER}".encode()) if encoding == "utf-8" else 0
    return Decoded(text, encoding, max(0, text.count("\N{REPLACEMENT CHARACTER}") - genuine))
