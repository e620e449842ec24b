"""Splitting one whitespace-delimited chunk as spaCy's Portuguese tokenizer splits it.

The algorithm is ``spacy.tokenizer.Tokenizer._split_affixes`` and ``_attach_tokens`` (spaCy 3.8):
strip prefixes and suffixes until nothing changes or a special case is left, keep a URL whole,
otherwise split at infixes. What is rare and intricate is refused, so that spaCy does it: user
names in URLs, addresses of numbers, special cases of several words or put together from
neighbours. Tests compare it with spaCy on generated and on real chunks.
"""

from __future__ import annotations

from tagarela_dagster.corpus.kernels.characters import class_of, decode
from tagarela_dagster.corpus.kernels.compile import jit_borrowing
from tagarela_dagster.corpus.kernels.spacy_affixes import (
    prefix_length,
    split_infixes,
    suffix_length,
)
from tagarela_dagster.corpus.kernels.spacy_classes import (
    AX,
    INFIX,
    KNOWN,
    PREFIX,
    SPECIAL_FIRST,
    SPECIAL_LAST,
    SUFFIX,
)
from tagarela_dagster.corpus.kernels.spacy_urls import NO, REFUSED, YES, is_url
from tagarela_dagster.corpus.kernels.word_tables import (
    SPECIAL,
    SPECIAL_SPLIT,
    find_word,
    hash_bytes,
    mix,
    word_flags,
)

LONGEST_SPECIAL = 40
"""Bytes of the longest special case, generously (a test looks)."""
_LETTER_OR_CUT = AX | PREFIX | SUFFIX | INFIX


@jit_borrowing
def special(a, b, bits, places, tables):
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


@jit_borrowing
def split_chunk(start, end, classes, tables, units, scratch, ends):
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
