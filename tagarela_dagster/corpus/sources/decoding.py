"""Text files of unknown encoding to text, or a clear no.

``charset.decode`` finds the encoding and never fails; here its answer is held to what a
Portuguese text file can be. Binary data and text in a foreign encoding decode as Latin-1 into
letters that no Portuguese text has, and are refused instead of becoming documents.
"""

from __future__ import annotations

import re

from tagarela_dagster.corpus.sources.charset import Decoded, decode

MAX_ERROR_SHARE = 0.01
"""Largest share of undecodable characters; above it the file is wrongly encoded, not damaged."""
MAX_CONTROL_SHARE = 0.001
"""Largest share of control characters; text has none, binary data has many."""
MIN_PORTUGUESE_SHARE = 0.5
"""Least share of a legacy-encoded file's non-ASCII characters that Portuguese text uses."""
LEGACY = ("cp1252", "iso8859-15", "mac-roman", "cp850", "cp860")
"""Eight-bit encodings of Portuguese text; another detection is read as Windows-1252."""

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_NON_ASCII = re.compile(r"[^\x00-\x7f]")
_PORTUGUESE = re.compile(r"[áàâãäéêíóôõúüçñÁÀÂÃÉÊÍÓÔÕÚÜÇºª°§«»“”‘’–—…€\xa0\xad·•´]")
_UNICODE = ("utf-8", "utf-16", "utf-32")


class EncodingError(ValueError):
    """The bytes are no text in an encoding that Portuguese is written in."""


def decode_text(payload: bytes, declared: tuple[str | None, ...] = ()) -> Decoded:
    """``payload`` as text.

    Args:
        payload: a whole file, or a record of one.
        declared: encodings named by the file itself, by authority.

    Raises:
        EncodingError: see the module's thresholds.
    """
    found = _utf16(payload) or decode(payload, declared)
    if found.encoding not in (*_UNICODE, *LEGACY):
        found = decode(payload, ("cp1252",))
    if found.error_share > MAX_ERROR_SHARE:
        raise EncodingError(f"{found.errors} characters cannot be decoded as {found.encoding}")
    controls = len(_CONTROL.findall(found.text))
    if controls > MAX_CONTROL_SHARE * max(len(found.text), 1000):
        raise EncodingError(f"{controls} control characters: binary data, not text")
    if found.encoding in LEGACY:
        others = len(_NON_ASCII.findall(found.text))
        usual = len(_PORTUGUESE.findall(found.text))
        if usual < MIN_PORTUGUESE_SHARE * others:
            raise EncodingError(
                f"only {usual} of {others} non-ASCII characters are Portuguese as {found.encoding}"
            )
    return found


def decode_line(line: bytes) -> Decoded:
    """A line or record of a larger file; too short to detect, so UTF-8 or Windows-1252."""
    try:
        return Decoded(line.decode("utf-8"), "utf-8", 0)
    except UnicodeDecodeError:
        return decode_text(line, ("cp1252",))


def _utf16(payload: bytes) -> Decoded | None:
    """UTF-16, also without a byte order mark: every second byte of European text is zero."""
    head = payload[:4096]
    if len(head) < 4 or head.count(0) < 0.3 * len(head):
        return None
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if zeros.count(0) > 0.8 * len(zeros):
            try:
                return Decoded(payload.decode(encoding).lstrip("\ufeff"), "utf-16", 0)
            except UnicodeDecodeError:
                return None
    return None
