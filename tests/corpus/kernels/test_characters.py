from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
from spacy.pipeline import Sentencizer

from tagarela_dagster.corpus.kernels import characters as c

CODES = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]


@pytest.mark.parametrize(
    ("bit", "test"),
    [
        (c.SPACE, str.isspace),
        (c.BREAK, lambda a: len(f"{a}x".splitlines()) == 2),
        (c.ALPHA, str.isalpha),
        (c.PUNCTUATION, PUNCTUATION_SET.__contains__),
        (c.TERMINAL, TERMINAL_PUNCTUATION.__contains__),
        (c.DECIMAL, str.isdecimal),
        (c.UPPER, str.isupper),
        (c.WORD, re.compile(r"\w").match),
        (c.PUNCT, lambda a: unicodedata.category(a).startswith("P")),
        (c.ENDS_SENTENCE, Sentencizer.default_punct_chars.__contains__),
    ],
    ids=["space", "break", "alpha", "punctuation", "terminal", "decimal", "upper", "word", "punct",
         "ends sentence"],
)  # fmt: skip
def test_every_code_point_is_what_python_says(bit: int, test) -> None:  # type: ignore[no-untyped-def]
    index, blocks = c.character_classes()
    codes = np.array(CODES)
    found = blocks[(index[codes >> 7] << 7) + (codes & 127)] & bit != 0
    expected = np.array([bool(test(chr(code))) for code in CODES])
    assert codes[found != expected].tolist() == []


def test_the_first_block_is_ascii() -> None:
    index, blocks = c.character_classes()
    assert index[0] == 0 and blocks[ord(" ")] & c.SPACE and len(blocks) < 40_000


def test_characters_are_decoded_and_stray_bytes_are_one_each() -> None:
    text = "aé€😀\U0010ffff"
    data = np.frombuffer(text.encode() + b"\xff\x80\xe2\x80", np.uint8)
    at, found = 0, []
    while at < len(data):
        code, size = c.decode(data, at, len(data))
        found.append((int(code), int(size)))
        at += size
    assert found == [*((ord(a), len(a.encode())) for a in text), *[(0xFFFD, 1)] * 4]
