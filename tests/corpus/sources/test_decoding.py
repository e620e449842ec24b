"""Bytes to text: what Portuguese text can be, and what it cannot."""

from __future__ import annotations

import pytest

from tagarela_dagster.corpus.sources.decoding import EncodingError, decode_line, decode_text

TEXT = (
    "Não há manhã sem café, disse a avó; o coração é que não aguenta tanta emoção. "
    "Pôs a chaleira ao lume, abriu a janela e ficou à espera dos pássaros.\n"
) * 5


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("cp1252", "cp1252"),
        ("latin-1", "cp1252"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16"),
        ("utf-16-be", "utf-16"),
    ],
)
def test_portuguese_text_is_read_in_its_encoding(encoding: str, found: str) -> None:
    decoded = decode_text(TEXT.encode(encoding))
    assert (decoded.text, decoded.encoding, decoded.errors) == (TEXT, found, 0)


@pytest.mark.parametrize(
    "payload",
    [
        bytes(range(256)) * 20,
        "Это русский текст, который никто не ждал. ".encode("cp1251") * 20,
        b"\x89PNG\r\n\x1a\n" + bytes((n * 37 + n // 5) % 256 for n in range(5000)),
        TEXT.encode() + bytes(range(1, 9)) * 100,
    ],
)
def test_what_is_no_portuguese_text_is_refused(payload: bytes) -> None:
    with pytest.raises(EncodingError):
        decode_text(payload)


def test_a_few_broken_bytes_are_damage_and_many_are_another_encoding() -> None:
    decoded = decode_text(TEXT.encode() + b" e \xff fim")
    assert (decoded.encoding, decoded.errors) == ("utf-8", 1)
    with pytest.raises(EncodingError, match="cannot be decoded"):
        decode_text("ção ".encode() * 50 + b"\x81\x8d\x8f\x90" * 50)


def test_a_line_is_utf_8_or_windows_1252() -> None:
    assert decode_line("Não é só isso.".encode("cp1252")).text == "Não é só isso."
    assert decode_line("Não é só isso.".encode()).encoding == "utf-8"
    with pytest.raises(EncodingError):
        decode_line(bytes(range(128, 256)))
