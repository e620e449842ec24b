r"""MADLAD-400's sentence rules (one document), the language check excluded.

Source: ``allenai/datamap-rs`` ``src/map_fxn.rs`` (Madlad400SentenceAnnotator), after arXiv
2309.04662, section 2.3: sentences are split at ``[.!?]+\s+``, and questionable when they are a
list in capitals, of unusual length or of technical characters. Lengths are characters here (bytes
there); words are runs of ``\w``. Neither the check of each sentence's language nor its list of
"cursed" phrases is here.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.characters import SPACE, UPPER, WORD, decode
from tagarela_dagster.corpus.kernels.compile import jit

MIN_LENGTH, MAX_LENGTH = 20, 500
"""Characters of a usual sentence."""
MIN_CASE_WORDS = 12
"""Words from which capitals are counted; more than half of them is a list."""
TECHNICAL = frozenset(b"0123456789{}+/()>")
"""More than a fifth of these is technical."""

_IS_TECHNICAL = np.array([byte in TECHNICAL for byte in range(128)], np.int64)


@jit
def _is_questionable(characters, technical, words, capitals):
    return (
        characters < MIN_LENGTH
        or characters > MAX_LENGTH
        or technical * 5 > characters
        or (words >= MIN_CASE_WORDS and capitals * 2 > words)
    )


@jit
def count_madlad(data, at, end, classes):
    """Sentences of ``data[at:end]``, and how many of them are questionable."""
    index, blocks = classes.index, classes.blocks
    sentences = questionable = 0
    characters = technical = words = capitals = marks = 0
    visible, in_word = False, False
    while at <= end:
        code, size, bits = 32, 1, 0
        if at < end:
            code = np.int64(data[at])
            if code < 128:
                bits = blocks[code]
                technical += _IS_TECHNICAL[code]
            else:
                wide, size = decode(data, at, end)
                bits = blocks[(index[wide >> 7] << 7) + (wide & 127)]
        at += size
        if bits & WORD:
            if not in_word:
                words += 1
                capitals += bits & UPPER != 0
            in_word = True
        else:
            in_word = False
        if at <= end and not (bits & SPACE and marks):
            characters += 1
            if code == 46 or code == 33 or code == 63:
                marks += 1
            else:
                marks = 0
                visible = visible or not bits & SPACE
            continue
        # Marks and a space, or the end: marks belong to a sentence only at the end of the text.
        if at <= end:
            characters -= marks
        elif marks:
            visible = True
        if visible:
            sentences += 1
            questionable += _is_questionable(characters, technical, words, capitals)
        characters = technical = words = capitals = marks = 0
        visible = False
        # The run of spaces goes with the marks.
        while at < end:
            code, size = np.int64(data[at]), 1
            if code < 128:
                bits = blocks[code]
            else:
                wide, size = decode(data, at, end)
                bits = blocks[(index[wide >> 7] << 7) + (wide & 127)]
            if not bits & SPACE:
                break
            at += size
    return sentences, questionable
