"""Broken encodings, broken on purpose."""

from __future__ import annotations


def as_mojibake(text: str) -> str:
    """UTF-8 read as Windows-1252, the commonest damage on the web; undefined bytes as Latin-1."""
    data = text.encode()
    return "".join(
        bytes([byte]).decode("cp1252" if byte not in _UNDEFINED else "latin-1") for byte in data
    )


_UNDEFINED = {0x81, 0x8D, 0x8F, 0x90, 0x9D}


def as_garbage(text: str) -> bytes:
    """Bytes that no Western encoding reads: every character above 7 bits, some undefined."""
    codes = sorted(_UNDEFINED)
    return bytes(
        byte if byte == 0x20 else codes[byte % 5] if byte % 3 == 0 else 0x80 | (byte & 0x7F)
        for byte in text.encode()
    )
