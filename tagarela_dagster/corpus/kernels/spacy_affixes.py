"""Prefixes, suffixes and infixes of a chunk, as spaCy's Portuguese expressions find them.

Source: ``spacy/lang/punctuation.py`` and ``spacy/lang/pt/punctuation.py`` (spaCy 3.8). Kernels
take a chunk as code points and class bits (``spacy_classes``), and look at places a to b of it.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.characters import WORD
from tagarela_dagster.corpus.kernels.compile import jit_borrowing
from tagarela_dagster.corpus.kernels.spacy_classes import (
    AL,
    AU,
    AX,
    BEFORE_DOT,
    CURRENCY,
    INFIX,
    PREFIX,
    QUOTE,
    SUFFIX,
    UNIT_BITS,
)

DOT, DOLLAR, PLUS, HYPHEN, SLASH, COLON = 46, 36, 43, 45, 47, 58
LONGEST_UNIT = 5
"""Characters of the longest unit."""


@jit_borrowing
def is_digit(code):
    """``[0-9]``."""
    return code >= 48 and code <= 57


@jit_borrowing
def prefix_length(a, b, codes, bits):
    r"""Length of the prefix of characters a to b: ``\w{1,3}\$``, dots, or a single sign."""
    k = a
    while k < b and k - a < 4 and bits[k] & WORD:
        k += 1
    if k > a and k - a < 4 and k < b and codes[k] == DOLLAR:
        return k - a + 1
    if codes[a] == DOT:
        k = a
        while k < b and codes[k] == DOT:
            k += 1
        return k - a if k - a > 1 else 0
    if codes[a] == PLUS:
        return 0 if a + 1 < b and is_digit(codes[a + 1]) else 1
    return 1 if bits[a] & PREFIX else 0


@jit_borrowing
def suffix_length(a, b, codes, bits, units):
    """Length of the longest suffix of characters a to b that any expression matches."""
    if a >= b:
        return 0
    code, size = codes[b - 1], b - a
    if code == DOT:
        k = b
        while k > a and codes[k - 1] == DOT:
            k -= 1
        if b - k > 1:
            return b - k
        if size > 1 and bits[b - 2] & BEFORE_DOT:
            return 1
        if size > 2 and bits[b - 2] & AU and bits[b - 3] & AU:
            return 1
        if size > 2 and codes[b - 3] == 0xB0 and codes[b - 2] in (70, 102, 67, 99, 75, 107):
            return 1
        return 0
    if size > 1:
        before = codes[b - 2]
        if (code == 115 or code == 83) and (before == 39 or before == 0x2019):
            return 2
        if code == 0x2026 and before == 0x2026:
            return 2
        if is_digit(before) and (code == PLUS or bits[b - 1] & CURRENCY):
            return 1
        if code == DOLLAR:
            if size > 3 and before == 83 and codes[b - 3] == 85 and is_digit(codes[b - 4]):
                return 3
            if size > 2 and (before == 67 or before == 65) and is_digit(codes[b - 3]):
                return 2
        key, k = np.uint64(0), b - 1
        while k >= a and b - k <= LONGEST_UNIT + 1 and not is_digit(codes[k]):
            # A character beyond 12 bits is in no unit.
            k -= 1 if codes[k] < 0x1000 else 2 * LONGEST_UNIT
        if k >= a and k < b - 1 and b - k <= LONGEST_UNIT + 1:
            for j in range(k + 1, b):
                key = (key << UNIT_BITS) | np.uint64(codes[j])
            at = np.searchsorted(units, key)
            if at < len(units) and units[at] == key:
                return b - 1 - k
    return 1 if bits[b - 1] & SUFFIX else 0


@jit_borrowing
def split_infixes(a, b, codes, bits, begins):
    """Mark where words begin at the infixes of characters a to b (but not one at a)."""
    k, no_hyphen = a, a
    while k < b:
        code, end = codes[k], k
        if k >= no_hyphen and bits[k] & WORD:
            end = _hyphenated(k, b, codes, bits)
            if end == k:
                while no_hyphen < b and (no_hyphen <= k or bits[no_hyphen] & WORD):
                    no_hyphen += 1
        if end == k:
            if bits[k] & INFIX:
                end = k + 1
            elif code == DOT and k + 1 < b and codes[k + 1] == DOT:
                while end < b and codes[end] == DOT:
                    end += 1
            elif k > a and k + 1 < b:
                end = _operator(k, b, codes, bits)
        if end == k:
            k += 1
            continue
        if k > a:
            begins[k] = 1
            begins[end] = 1
        k = end


@jit_borrowing
def _hyphenated(k, b, codes, bits):
    r"""End of ``\w+-\w+(-\w+)*`` from k on, or k."""
    end = k
    while end < b and bits[end] & WORD:
        end += 1
    if end + 1 >= b or codes[end] != HYPHEN or not bits[end + 1] & WORD:
        return k
    while end + 1 < b and codes[end] == HYPHEN and bits[end + 1] & WORD:
        end += 1
        while end < b and bits[end] & WORD:
            end += 1
    return end


@jit_borrowing
def _operator(k, b, codes, bits):
    """End of an infix that needs neighbours, from k on, or k; k has both neighbours."""
    code, before, after = codes[k], bits[k - 1], bits[k + 1]
    digit_before = is_digit(codes[k - 1])
    signed = is_digit(codes[k + 1]) or codes[k + 1] == HYPHEN
    if signed and digit_before and code in (PLUS, HYPHEN, 42, 94):
        return k + 1
    if code == DOT:
        return k + 1 if before & (AL | QUOTE) and after & (AU | QUOTE) else k
    if code == 44:
        return k + 1 if before & AX and after & AX else k
    if code in (HYPHEN, 0x2013, 0x2014, 126) and before & AX:
        if after & AX:
            return k + 1
        if code == HYPHEN or code == 0x2014:
            end = k + 1
            while end < b and codes[end] == code:
                end += 1
            longest = 3 if code == HYPHEN else 2
            if end - k <= longest and end < b and bits[end] & AX:
                return end
        return k
    if code in (COLON, 60, 62, 61, SLASH):
        return k + 1 if (before & AX or digit_before) and after & AX else k
    return k
