"""C4's line rules, counted as datatrove's C4QualityFilter applies them (one document).

Source: ``datatrove/pipeline/filters/c4_filters.py`` 0.10.1 with ``language="por"``, after Raffel et
al. (arXiv 1910.10683). Two differences: a citation (``[12]``) is left out only at a line's end, and
of the letters only A to Z are compared without regard to case.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.characters import SPACE, class_of, decode
from tagarela_dagster.corpus.kernels.compile import jit_borrowing
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


@jit_borrowing
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


@jit_borrowing
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


@jit_borrowing
def _ends_well(data, start, end):
    """Whether a line ends in one of ``. ? ! " '`` and not in three dots."""
    if end <= start:
        return False
    last = data[end - 1]
    if last == 46:
        return end - start < 3 or data[end - 2] != 46 or data[end - 3] != 46
    return last in (63, 33, 34, 39)


@jit_borrowing
def count_sentences(flags, word, until):
    """Sentences of words ``word`` to ``until`` by spaCy's sentencizer: a new one begins behind
    end marks."""
    if word == until:
        return 0
    sentences, ended = 1, False
    for k in range(word, until):
        if flags[k] & ENDS:
            ended = True
        elif ended and not flags[k] & ONLY_PUNCT:
            sentences += 1
            ended = False
    return sentences


@jit_borrowing
def may_have_phrases(data, start, end):
    """Whether a curly bracket or a part of each phrase stands anywhere, in a loop without branches
    that is compiled to vector instructions."""
    found = np.uint8(0)
    for i in range(start, end - 2):
        a, b, c = data[i], data[i + 1] | np.uint8(32), data[i + 2] | np.uint8(32)
        small = a | np.uint8(32)
        found |= np.uint8(
            (a == 123)
            | ((small == 118) & (b == 97) & (c == 115))  # javascript: vas
            | ((small == 109) & (b == 32) & (c == 105))  # lorem ipsum: m i
            | ((small == 102) & (b == 32) & (c == 117))  # terms of use: f u
            | ((small == 121) & (b == 32) & (c == 112))  # privacy policy: y p
            | ((small == 107) & (b == 105) & (c == 101))  # cookie: kie
        )
    return (
        found != 0
        or (end - start >= 1 and data[end - 1] == 123)
        or (end - start >= 2 and data[end - 2] == 123)
    )


@jit_borrowing
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


@jit_borrowing
def count_line(data, first, last, base, starts, flags, word, phrases, classes, counts):
    """Count LINE_RULES of a stripped line: it counts at the first rule that it fails.

    Args:
        base: place from which ``starts`` of words are counted. flags: of each word.
        word: number of a word that begins before the line does.
        phrases: whether ``may_have_phrases`` says so of the text.

    Returns:
        The number of a word for the next line.
    """
    counts[LINES] += 1
    chunks, longest = 0, 0
    if last - first > MAX_WORD:
        chunks, longest = _words(data, first, last, classes)
    if longest > MAX_WORD:
        counts[LONG_WORD] += 1
        return word
    stop = _without_citations(data, first, last)
    if not _ends_well(data, first, stop):
        counts[NO_PUNCTUATION] += 1
        return word
    if last - first <= MAX_WORD:
        chunks, longest = _words(data, first, last, classes)
    if chunks < MIN_WORDS:
        counts[SHORT] += 1
        return word
    found = _find_phrases(data, first, stop) if phrases else 0
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
        counts[SENTENCES] += count_sentences(flags, word, until)
        word = until
    return word


@jit_borrowing
def first_at_or_after(starts, word, place):
    """First word from ``word`` on that begins at ``place`` or later."""
    while word < len(starts) and starts[word] < place:
        word += 1
    return word
