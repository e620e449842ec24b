"""Splitting one whitespace-delimited chunk as spaCy's Portuguese tokenizer splits it.

The algorithm is ``spacy.tokenizer.Tokenizer._split_affixes`` and ``_attach_tokens`` (spaCy 3.8):
strip prefixes and suffixes until nothing changes or a special case is left, keep a URL whole,
otherwise split at infixes. What is rare and intricate is refused, so that spaCy does it: user
names in URLs, addresses of numbers, special cases of several words or put together from
neighbours. Tests compare it with spaCy on generated and on real chunks.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.characters import DECIMAL, WORD, class_of, decode
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.spacy_classes import (
    AL,
    AU,
    AX,
    BEFORE_DOT,
    CURRENCY,
    HOST,
    INFIX,
    KNOWN,
    PREFIX,
    QUOTE,
    SPECIAL_FIRST,
    SPECIAL_LAST,
    SUFFIX,
    UNIT_BITS,
)
from tagarela_dagster.corpus.kernels.word_tables import (
    SPECIAL,
    SPECIAL_SPLIT,
    find_word,
    hash_bytes,
    mix,
    word_flags,
)

DOT, DOLLAR, PLUS, HYPHEN, SLASH, COLON = 46, 36, 43, 45, 47, 58
LONGEST_SPECIAL = 40
"""Bytes of the longest special case, generously (a test looks)."""
LONGEST_UNIT = 5
"""Characters of the longest unit."""
NO, YES, REFUSED = 0, 1, 2
_LETTER_OR_CUT = AX | PREFIX | SUFFIX | INFIX


@jit
def is_digit(code):  # type: ignore[no-untyped-def]
    """``[0-9]``."""
    return code >= 48 and code <= 57


@jit
def special(a, b, bits, places, tables):  # type: ignore[no-untyped-def]
    """Whether characters a to b are a special case, and whether of several words."""
    if b <= a or not (bits[a] & SPECIAL_FIRST and bits[b - 1] & SPECIAL_LAST):
        return NO
    start, end = places[a], places[b]
    if end - start > LONGEST_SPECIAL:
        return NO
    mixed = mix(hash_bytes(tables.arena, start, end))
    number = find_word(tables.arena, start, end, mixed, tables)
    if number < 0:
        return NO
    flags = word_flags(number, tables)
    if flags & SPECIAL_SPLIT:
        return REFUSED
    return YES if flags & SPECIAL else NO


@jit
def prefix_length(a, b, codes, bits):  # type: ignore[no-untyped-def]
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


@jit
def suffix_length(a, b, codes, bits, units):  # type: ignore[no-untyped-def]
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


@jit
def _is_host(a, b, codes, bits):  # type: ignore[no-untyped-def]
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


@jit
def is_url(a, b, codes, bits):  # type: ignore[no-untyped-def]
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


@jit
def split_infixes(a, b, codes, bits, begins):  # type: ignore[no-untyped-def]
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


@jit
def _hyphenated(k, b, codes, bits):  # type: ignore[no-untyped-def]
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


@jit
def _operator(k, b, codes, bits):  # type: ignore[no-untyped-def]
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


@jit
def split_chunk(start, end, classes, tables, units, scratch, ends):  # type: ignore[no-untyped-def]
    """Words of the chunk ``arena[start:end]``: fills ``ends`` (bytes from its start) and counts.

    Args:
        scratch: (4, more than the chunk's bytes) int64.

    Returns:
        Number of words; 0 when the chunk is refused.
    """
    codes, bits, places, begins = scratch[0], scratch[1], scratch[2], scratch[3]
    b, at, only_letters = 0, start, True
    while at < end:
        code, size = decode(tables.arena, at, end)
        codes[b], places[b], begins[b] = code, at, 0
        bits[b] = class_of(code, classes)
        if bits[b] & KNOWN == 0:
            return 0
        only_letters = only_letters and bits[b] & _LETTER_OR_CUT == AX
        b += 1
        at += size
    if only_letters:
        ends[0] = end - start
        return 1
    places[b], begins[b] = end, 0
    characters, a = b, 0
    while a < b:
        found = special(a, b, bits, places, tables)
        if found == REFUSED:
            return 0
        if found:
            break
        before = b - a
        pre = prefix_length(a, b, codes, bits)
        if pre:
            found = special(a + pre, b, bits, places, tables)
            if found == REFUSED:
                return 0
            if found:
                begins[a + pre] = 1
                a += pre
                break
        suf = suffix_length(a + pre, b, codes, bits, units)
        if suf:
            found = special(a, b - suf, bits, places, tables)
            if found == REFUSED:
                return 0
            if found:
                begins[b - suf] = 1
                b -= suf
                break
        if pre:
            a += pre
            begins[a] = 1
        if suf:
            b -= suf
            begins[b] = 1
        if b - a == before:
            break
    if a < b and special(a, b, bits, places, tables) == NO:
        url = is_url(a, b, codes, bits)
        if url == REFUSED:
            return 0
        if url == NO:
            split_infixes(a, b, codes, bits, begins)
    count = 0
    for k in range(1, characters):
        if begins[k]:
            ends[count] = places[k] - start
            count += 1
    ends[count] = end - start
    return count + 1
