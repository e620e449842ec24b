"""Words exactly as datatrove gets them from spaCy's Portuguese tokenizer, about 20 times faster.

FineWeb-2 derived its Portuguese thresholds with these words (``split_into_words(text, "por")`` of
datatrove), so another segmentation would need other thresholds. spaCy's tokenizer splits text at
whitespace and then each chunk on its own, so a lexicon from chunk to words, filled by spaCy once
per distinct chunk, gives the same words without calling spaCy again. Only a special case that
matches across two chunks (some emoticons) can differ: docs/filters.md has the measured share.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from datatrove.utils.text import PUNCTUATION_SET
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer

MAX_CHUNKS = 300_000
"""Distinct chunks after which a lexicon starts again, keeping the former one to look things up.

So at most twice as many are held beside those of one document, some 900 bytes each with what
spaCy remembers of them. Technical text has 9,000 distinct chunks a megabyte.
"""

MAX_CHUNK_CHARACTERS = 2_000
SLICE_CHARACTERS = 250
"""A chunk beyond the bound is tokenized in slices, unlike spaCy, whose time grows with the square
of a chunk's length (1 s for 2,000 equals signs, 3.5 s for 4,000)."""

_LETTERS = "A-Za-zÀ-ÖØ-öø-ÿ"
_WORD = re.compile(f"[{_LETTERS}]+")
_WORD_IN_MARKS = re.compile(
    '([("“«[])?'
    f"([{_LETTERS}]{{2,}}[a-zß-öø-ÿ](?:-[{_LETTERS}]*[a-zß-öø-ÿ])*|[0-9]{{3,}})"
    '([,;:!?)"”»\\]])?'
    "(\\.)?"
)
"""Shapes that spaCy splits at the marks alone, so that it need not be asked (unless the chunk is
one of its special cases). They are half of the distinct chunks of technical text and more of
prose; a test compares them with spaCy. Words of one or two letters with marks are left to spaCy:
initials and emoticons."""

HASH_BASE = 0x9E3779B97F4A7C15
"""Odd, so invertible modulo 2**64."""

_MASK = (1 << 64) - 1

HAS_NON_PUNCTUATION = 1
"""Flag: at least one character is not in datatrove's PUNCTUATION_SET."""
HAS_LETTER = 2
"""Flag: at least one character is alphabetic."""
MARKED = 4
"""Flag: the word is one of those the lexicon was made with."""


class Lexicon(dict[str, tuple[int, ...]]):
    """Whitespace-delimited chunk -> numbers of its words, filled on demand.

    A word's number is stable until :meth:`trim` empties the lexicon.

    Args:
        marked: words whose flags carry MARKED (the stop words).
        max_chunks: distinct chunks that :meth:`trim` lets stand.

    Attributes:
        words: word of each number.
    """

    def __init__(self, marked: Iterable[str] = (), max_chunks: int = MAX_CHUNKS) -> None:
        super().__init__()
        self.max_chunks = max_chunks
        self._marked = frozenset(marked)
        self.words: list[str] = []
        self._reset()

    def _reset(self) -> None:
        # What is still in use comes back from here without spaCy; the rest is forgotten.
        self._old, self._old_words = dict(self), self.words
        self.clear()
        self.words = []
        self._numbers: dict[str, int] = {}
        self._new: list[tuple[int, int, int]] = []
        self._tables = (np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.uint64))
        # spaCy's vocabulary remembers every string it saw, so it goes too.
        self._tokenizer: Tokenizer | None = None
        self._special: frozenset[str] = frozenset()

    def split(self, text: str) -> NDArray[np.int64]:
        """Numbers of the words of ``text``, in order."""
        return np.fromiter(chain.from_iterable(map(self.__getitem__, text.split())), np.int64)

    def tables(self) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint64]]:
        """By word number: length in characters, flags, polynomial hash of the characters.

        The hash of ``c0 c1 … ck`` is the sum of ``ci * HASH_BASE**i`` modulo 2**64. The arrays
        may be longer than the lexicon.
        """
        if self._new:
            known, total = len(self.words) - len(self._new), len(self.words)
            if total > len(self._tables[0]):
                lengths, flags, hashes = (
                    np.concatenate([table[:known], np.zeros(2 * total - known, table.dtype)])
                    for table in self._tables
                )
                self._tables = (lengths, flags, hashes)
            for table, column in zip(self._tables, zip(*self._new, strict=True), strict=True):
                cast(NDArray[Any], table)[known:total] = column
            self._new.clear()
        return self._tables

    def trim(self) -> None:
        """Start again when there are more than ``max_chunks``: call between documents.

        The former content is kept for look-ups until the next time.
        """
        if len(self) > self.max_chunks:
            self._reset()

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        if len(chunk) > MAX_CHUNK_CHARACTERS:
            starts = range(0, len(chunk), SLICE_CHARACTERS)
            slices = (self[chunk[start : start + SLICE_CHARACTERS]] for start in starts)
            return tuple(chain.from_iterable(slices))
        known = self._old.get(chunk)
        words = self._segment(chunk) if known is None else [self._old_words[n] for n in known]
        numbers = tuple(map(self._number, words))
        self[chunk] = numbers
        return numbers

    def _segment(self, chunk: str) -> list[str]:
        tokenizer = self._tokenizer or self._load()
        if chunk not in self._special:
            if _WORD.fullmatch(chunk):
                return [chunk]
            match = _WORD_IN_MARKS.fullmatch(chunk)
            if match and not (match[4] and match[2] + "." in self._special):
                return [part for part in match.groups() if part]
        return [word for token in tokenizer(chunk) if (word := token.text.strip())]

    def _load(self) -> Tokenizer:
        spacy = _import_spacy()
        self._tokenizer = tokenizer = cast("Tokenizer", spacy.blank("pt").tokenizer)
        self._special = frozenset(tokenizer.rules)
        return tokenizer

    def _number(self, word: str) -> int:
        number = self._numbers.get(word)
        if number is None:
            number = self._numbers[word] = len(self.words)
            self.words.append(word)
            flags = (
                HAS_NON_PUNCTUATION * (not PUNCTUATION_SET.issuperset(word))
                | HAS_LETTER * any(map(str.isalpha, word))
                | MARKED * (word in self._marked)
            )
            self._new.append((len(word), flags, _hash(word)))
        return number


def _import_spacy() -> Any:
    """spaCy without torch, which its import takes along when it is installed.

    A blank tokenizer has no use for it, and it costs each worker 2 s and 180 MB.
    """
    if "torch" in sys.modules or "spacy" in sys.modules:
        import spacy

        return spacy
    sys.modules["torch"] = cast(Any, None)
    try:
        import spacy
    finally:
        del sys.modules["torch"]
    return spacy


def _hash(word: str) -> int:
    value, power = 0, 1
    for character in word:
        value += ord(character) * power
        power = power * HASH_BASE & _MASK
    return value & _MASK
