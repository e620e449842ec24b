"""Character classes of spaCy's Portuguese tokenizer, taken from its own expressions.

Together with ``spacy_chunks`` this lets kernels split chunks as spaCy would, without asking it:
a thousand times faster. Only characters in RANGES take part; a chunk with another is spaCy's.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.characters import (
    Classes,
    add_class,
    compact,
    flat_classes,
)

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer

PREFIX = 1 << 16
"""Split off the front of a chunk as a word of one character (``+`` only before no digit)."""
SUFFIX = 1 << 17
"""Split off the end of a chunk as a word of one character."""
INFIX = 1 << 18
"""A word of one character wherever it stands."""
AL = 1 << 19
"""ALPHA_LOWER."""
AU = 1 << 20
"""ALPHA_UPPER."""
AX = 1 << 21
"""ALPHA."""
BEFORE_DOT = 1 << 22
"""A final dot after it is split off."""
QUOTE = 1 << 23
"""CONCAT_QUOTES."""
CURRENCY = 1 << 24
"""Split off the end of a chunk after a digit."""
HOST = 1 << 25
"""May begin and end a label of a host name."""
KNOWN = 1 << 26
"""In RANGES."""
SPECIAL_FIRST = 1 << 27
"""First character of a special case."""
SPECIAL_LAST = 1 << 28
"""Last character of a special case."""

RANGES = (range(0x3100), range(0xF900, 0x10000), range(0x1F000, 0x1FB00))

UNIT_BITS = np.uint64(12)
"""Bits of each character of a unit in its key: all are Latin, Greek, Cyrillic or Arabic."""

EXPRESSIONS = "19961f96865f9182"
"""Hash of the expressions (prefix, suffix, infix, URL) that the kernels were written after."""


def expressions_hash(tokenizer: Tokenizer) -> str:
    """16 hex digits over the tokenizer's expressions."""
    methods = ("prefix_search", "suffix_search", "infix_finditer", "url_match")
    patterns = [getattr(tokenizer, name).__self__.pattern for name in methods]
    joined = "\0".join([*patterns, str(tokenizer.token_match), str(tokenizer.faster_heuristics)])
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def spacy_classes(tokenizer: Tokenizer) -> Classes:
    """General character classes with those of spaCy beside them."""
    from spacy.lang import char_classes as spacy

    single = [code for plane in RANGES for code in plane]
    everything = "".join(map(chr, single))
    host = r"[A-Za-z0-9\u00a1-\uffff]"
    classes = {
        AL: f"[{spacy.ALPHA_LOWER}]",
        AU: f"[{spacy.ALPHA_UPPER}]",
        AX: f"[{spacy.ALPHA}]",
        QUOTE: f"[{spacy.CONCAT_QUOTES}]",
        INFIX: "|".join([*spacy.LIST_ICONS, "…"]),
        BEFORE_DOT: r"[0-9{al}{e}{p}(?:{q})]".format(
            al=spacy.ALPHA_LOWER, e=r"%²\-\+", q=spacy.CONCAT_QUOTES, p=spacy.PUNCT
        ),
        CURRENCY: "|".join(sign for sign in spacy.LIST_CURRENCY if "$" not in sign) + r"|\$",
        HOST: host,
    }
    flat = flat_classes().copy()
    for bit, pattern in classes.items():
        add_class(flat, bit, (ord(hit[0]) for hit in re.finditer(pattern, everything)))
    add_class(flat, KNOWN, single)
    add_class(flat, PREFIX, (code for code in single if tokenizer.prefix_search(chr(code))))
    add_class(flat, SUFFIX, (code for code in single if tokenizer.suffix_search(chr(code))))
    add_class(flat, SPECIAL_FIRST, (ord(case[0]) for case in tokenizer.rules))
    add_class(flat, SPECIAL_LAST, (ord(case[-1]) for case in tokenizer.rules))
    return compact(flat)


def unit_keys() -> NDArray[np.uint64]:
    """Sorted keys (``unit_step``) of each unit that is split off a number."""
    from spacy.lang.char_classes import UNITS

    keys = []
    for unit in UNITS.split("|"):
        key = 0
        for character in unit:
            key = (key << int(UNIT_BITS)) | ord(character)
        keys.append(key)
    return np.unique(np.array(keys, np.uint64))
