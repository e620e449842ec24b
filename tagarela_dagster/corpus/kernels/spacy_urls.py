"""Whether spaCy keeps a chunk whole because its URL expression matches."""

from __future__ import annotations

from tagarela_dagster.corpus.kernels.characters import DECIMAL, WORD
from tagarela_dagster.corpus.kernels.compile import jit_borrowing
from tagarela_dagster.corpus.kernels.spacy_affixes import (
    COLON,
    DOT,
    HYPHEN,
    PLUS,
    SLASH,
    is_digit,
)
from tagarela_dagster.corpus.kernels.spacy_classes import AL, HOST

NO, YES, REFUSED = 0, 1, 2
"""REFUSED: only spaCy can tell."""


@jit_borrowing
def _is_host(a, b, codes, bits):
    """Whether characters a to b are a host name, then perhaps a port, a path and so on."""
    labels, start = 0, a
    while True:
        k, all_lower = start, True
        while k < b and (bits[k] & HOST or codes[k] == HYPHEN or codes[k] == 95):
            if codes[k] > 0xFFFF:
                return REFUSED
            all_lower = all_lower and bits[k] & AL != 0
            k += 1
        if k < b and codes[k] == DOT:
            size = k - start
            if size < 1 or size > 64 or not (bits[start] & HOST and bits[k - 1] & HOST):
                return NO
            labels += 1
            start = k + 1
            continue
        if labels == 0 or not all_lower or k - start < 2 or k - start > 63:
            return NO
        if k < b and codes[k] == COLON:
            k += 1
            digits = k
            while k < b and bits[k] & DECIMAL:
                k += 1
            if k - digits < 2 or k - digits > 5:
                return NO
        return YES if k == b or codes[k] in (35, SLASH, 63) else NO


@jit_borrowing
def is_url(a, b, codes, bits):
    """Whether spaCy's URL expression matches characters a to b; REFUSED where it may."""
    dots, after = 0, a
    for k in range(a, b):
        if codes[k] == 64 or codes[k] > 0xFFFF:
            return REFUSED
        if codes[k] == DOT:
            dots += 1
        slashes = k + 2 < b and codes[k + 1] == SLASH and codes[k + 2] == SLASH
        if slashes and codes[k] == COLON and after == a:
            after = k + 3
    if dots == 0:
        return NO
    for start in (a, after):
        if start < b and is_digit(codes[start]) and dots >= 3:
            return REFUSED
        found = _is_host(start, b, codes, bits)
        if found != NO and start == a:
            return found
        if found != NO:
            if start - a < 5:
                return NO
            for k in range(a, start - 3):
                if not (bits[k] & WORD or codes[k] in (PLUS, HYPHEN, DOT)):
                    return NO
            return found
    return NO
