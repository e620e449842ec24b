"""C4's line rules, counted as datatrove's C4QualityFilter applies them (one document).

Source: ``datatrove/pipeline/filters/c4_filters.py`` 0.10.1 with ``language="por"``, after Raffel et
al. (arXiv 1910.10683). Two differences: a citation (``[12]``) is left out only at a line's end, and
of the letters only A to Z are compared without regard to case.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.characters import SPACE, class_of, decode
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.word_tables import ENDS, ONLY_PUNCT

MIN_WORDS = 3
"""Words that a line has at least."""
MAX_WORD = 1_000
"""Characters of the longest word that a line may have."""

JAVASCRIPT, LOREM, POLICY, CURLY = 1, 2, 4, 8
_PHRASES = (
    ("javascript", "j", JAVASCRIPT),
    ("lorem ipsum", "p", LOREM),
    ("terms of use", "f", POLICY),
    ("privacy policy", "y", POLICY),
    ("cookie policy", "k", POLICY),
    ("uses cookies", "k", POLICY),
    ("use of cookies", "k", POLICY),
    ("use cookies", "k", POLICY),
)
"""Phrases, each with a letter of it that is rare in Portuguese: only there is it compared."""

LINE_RULES = (
    "lines",
    "kept",
    "no_punctuation",
    "short",
    "long_word",
    "javascript",
    "policy",
    "curly",
    "lorem",
    "sentences",
)
LINES, KEPT, NO_PUNCTUATION, SHORT, LONG_WORD, SCRIPT, POLICIES, CURLIES, LOREMS, SENTENCES = range(
    len(LINE_RULES)
)


PHRASES = np.frombuffer("".join(text for text, _, _ in _PHRASES).encode(), np.uint8)
OFFSETS = np.cumsum([0, *(len(text) for text, _, _ in _PHRASES)])
ANCHORS = np.array([text.index(letter) for text, letter, _ in _PHRASES])
BITS = np.array([bit for _, _, bit in _PHRASES])
AT_BYTE = np.array(
    [
        sum(1 << k for k, (_, letter, _) in enumerate(_PHRASES) if chr(byte).lower() == letter)
        | (byte == 123) << len(_PHRASES)
        for byte in range(256)
    ]
)
"""Byte -> phrases to compare there, and a bit beyond them for the curly bracket."""


@jit
def _find_phrases(data, start, end):
    """Bits of the phrases in ``data[start:end]``, and CURLY."""
    found = 0
    for i in range(start, end):
        wanted = AT_BYTE[data[i]]
        if wanted == 0:
            continue
        for k in range(len(BITS)):
            first = i - ANCHORS[k]
            size = OFFSETS[k + 1] - OFFSETS[k]
            if not wanted >> k & 1 or first < start or first + size > end:
                continue
            j = 0
            while j < size:
                letter = PHRASES[OFFSETS[k] + j]
                byte = data[first + j]
                if byte != letter and (letter == 32 or byte | 32 != letter or byte >= 128):
                    break
                j += 1
            if j == size:
                found |= BITS[k]
        if wanted >> len(BITS):
            found |= CURLY
    return found


@jit
def _without_citations(data, start, end):
    """Where a line ends without the citations at its end (``[1]``, ``[]``)."""
    while end - start >= 2 and data[end - 1] == 93:
        at = end - 2
        while at > start and data[at] >= 48 and data[at] <= 57:
            at -= 1
        if data[at] != 91:
            break
        end = at
    return end


@jit
def _ends_well(data, start, end):
    """Whether a line ends in one of ``. ? ! " '`` and not in three dots."""
    if end <= start:
        return False
    last = data[end - 1]
    if last == 46:
        return end - start < 3 or data[end - 2] != 46 or data[end - 3] != 46
    return last in (63, 33, 34, 39)


@jit
def count_sentences(ids, words):
    """Sentences of some words by spaCy's sentencizer: a new one begins behind end marks."""
    if len(ids) == 0:
        return 0
    sentences, ended = 1, False
    for k in range(len(ids)):
        flags = np.int64(words[ids[k], 2] >> np.uint64(32))
        if flags & ENDS:
            ended = True
        elif ended and not flags & ONLY_PUNCT:
            sentences += 1
            ended = False
    return sentences


@jit
def _line_end(data, at, end):
    """Where the line of ``str.splitlines`` from ``at`` on ends, and where the next one begins."""
    while at < end:
        byte = data[at]
        if byte > 0x1E and byte != 0xC2 and byte != 0xE2:
            at += 1
        elif byte == 13:
            return at, at + 2 if at + 1 < end and data[at + 1] == 10 else at + 1
        elif (byte >= 10 and byte <= 12) or (byte >= 0x1C and byte <= 0x1E):
            return at, at + 1
        elif byte == 0xC2 and at + 1 < end and data[at + 1] == 0x85:
            return at, at + 2
        elif byte == 0xE2 and at + 2 < end and data[at + 1] == 0x80 and data[at + 2] >> 1 == 0x54:
            return at, at + 3
        else:
            at += 1
    return end, end


@jit
def _strip(data, start, end, classes):
    """``data[start:end]`` without spaces at its ends."""
    while start < end:
        code, size = decode(data, start, end)
        if not class_of(code, classes) & SPACE:
            break
        start += size
    while start < end:
        last = end - 1
        while last > start and data[last] & 0xC0 == 0x80:
            last -= 1
        code, _ = decode(data, last, end)
        if not class_of(code, classes) & SPACE:
            break
        end = last
    return start, end


@jit
def _words(data, start, end, classes):
    """Words of a line between spaces, and characters of the longest; a short line's words are
    counted up to MIN_WORDS only."""
    is_long = end - start > MAX_WORD
    words = length = longest = 0
    while start < end and (is_long or words < MIN_WORDS):
        code, size = decode(data, start, end)
        if class_of(code, classes) & SPACE:
            length = 0
        else:
            words += length == 0
            length += 1
            longest = max(longest, length)
        start += size
    return words, longest


@jit
def count_c4(data, start, end, base, ids, starts, words, classes, counts):
    """Count LINE_RULES of a document; a line is counted at the first rule that it fails.

    Args:
        base: place from which ``starts`` are counted. counts: (LINE_RULES,) int64.
    """
    counts[:] = 0
    word, line = 0, start
    while line < end:
        last, following = _line_end(data, line, end)
        first, last = _strip(data, line, last, classes)
        line = following
        counts[LINES] += 1
        chunks, longest = 0, 0
        if last - first > MAX_WORD:
            chunks, longest = _words(data, first, last, classes)
        if longest > MAX_WORD:
            counts[LONG_WORD] += 1
            continue
        stop = _without_citations(data, first, last)
        if not _ends_well(data, first, stop):
            counts[NO_PUNCTUATION] += 1
            continue
        if last - first <= MAX_WORD:
            chunks, longest = _words(data, first, last, classes)
        if chunks < MIN_WORDS:
            counts[SHORT] += 1
            continue
        found = _find_phrases(data, first, stop)
        if found & LOREM:
            counts[LOREMS] += 1
        elif found & JAVASCRIPT:
            counts[SCRIPT] += 1
        elif found & CURLY:
            counts[CURLIES] += 1
        elif found & POLICY:
            counts[POLICIES] += 1
        else:
            counts[KEPT] += 1
            word = first_at_or_after(starts, word, first - base)
            until = first_at_or_after(starts, word, stop - base)
            counts[SENTENCES] += count_sentences(ids[word:until], words)
            word = until


@jit
def first_at_or_after(starts, word, place):
    """First word from ``word`` on that begins at ``place`` or later."""
    while word < len(starts) and starts[word] < place:
        word += 1
    return word
