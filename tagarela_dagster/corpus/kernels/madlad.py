r"""MADLAD-400's sentence rules (one document), the language check excluded.

Source: ``allenai/datamap-rs`` ``src/map_fxn.rs`` (Madlad400SentenceAnnotator), after arXiv
2309.04662, section 2.3: sentences are split at ``[.!?]+\s+``, and questionable when they are a
list in capitals, of unusual length or of technical characters. Lengths are characters here (bytes
there); words are runs of ``\w``. Neither the check of each sentence's language nor its list of
"cursed" phrases is here.
"""

from __future__ import annotations

from tagarela_dagster.corpus.kernels.characters import SPACE, class_of, decode
from tagarela_dagster.corpus.kernels.compile import jit_borrowing

MIN_LENGTH, MAX_LENGTH = 20, 500
"""Characters of a usual sentence."""
MIN_CASE_WORDS = 12
"""Words from which capitals are counted; more than half of them is a list."""
TECHNICAL = frozenset(b"0123456789{}+/()>")
"""More than a fifth of these is technical."""

_LOW = 0xFFFFFFFF


@jit_borrowing
def _is_questionable(characters, technical, words, capitals):
    return (
        characters < MIN_LENGTH
        or characters > MAX_LENGTH
        or technical * 5 > characters
        or (words >= MIN_CASE_WORDS and capitals * 2 > words)
    )


@jit_borrowing
def is_sentence(data, at, end, classes):
    """Whether ``data[at:end]`` has anything but marks and white space."""
    while at < end:
        code, size = decode(data, at, end)
        if not (code == 46 or code == 33 or code == 63 or class_of(code, classes) & SPACE):
            return True
        at += size
    return False


@jit_borrowing
def end_sentence(data, start, end, is_last, texts, signs, classes, counts):
    """Count a sentence ``data[start:end]``, in which marks at the end belong to the last one only.

    Args:
        texts: its characters | words << 32. signs: technical characters | capitals << 32.
        counts: gets one sentence, and whether it is questionable.
    """
    marked = is_last and end > start and data[end - 1] in (33, 46, 63)
    if marked or is_sentence(data, start, end, classes):
        counts[0] += 1
        counts[1] += _is_questionable(texts & _LOW, signs & _LOW, texts >> 32, signs >> 32)
