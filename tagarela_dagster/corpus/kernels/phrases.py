"""Many phrases found in one pass over UTF-8 bytes, whatever their accents and capitals.

An Aho-Corasick automaton over words: each word is folded (lower case, no accents) and hashed as it
is read, looked up among the words that phrases are made of, and the automaton takes one step. A
text costs the same for ten phrases as for ten thousand.

Between the words of a phrase may stand spaces, hyphens, quotes and mark-up stars; a line end or
any other sign ends a match. ``<n>`` in a phrase is any number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.automaton import (
    BASIS,
    NUMBER,
    PRIME,
    automaton,
    next_state,
    word_table,
)
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.folding import (
    BREAK,
    FOLD,
    FOLD_LATIN,
    JOINT,
    LETTER,
    fold_at,
)

MAX_WORDS = 16
"""Longest phrase, in words."""


Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Hits:
    """Where phrases stand, in the order of their ends; all arrays are (hits,).

    Attributes:
        row: the text.
        start, end: bytes in the data, ``[start, end)``.
        word: index of the first word in its text.
        phrase: index among the table's phrases.
        words: (rows,) words of each text.
    """

    row: Numbers
    start: Numbers
    end: Numbers
    word: Numbers
    phrase: Numbers
    words: Numbers


class PhraseTable:
    """Phrases as an automaton.

    Args:
        phrases: words separated by spaces, as ``expand`` gives them. Equal phrases (after
            folding) are all found.

    Raises:
        ValueError: a phrase has no word, more than MAX_WORDS, or letters beyond Latin-1.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        self.phrases = tuple(phrases)
        folded = [_folded(phrase) for phrase in phrases]
        vocabulary = {word: n for n, word in enumerate(sorted({w for p in folded for w in p}))}
        self.lengths = np.array([len(words) for words in folded], np.int64)
        self._keys, self._ids, self._bits = word_table(vocabulary)
        self._automaton = automaton(folded, vocabulary)

    def find(self, data: Bytes, offsets: Offsets) -> Hits:
        """Every place where a phrase stands, phrases inside others included."""
        words = np.zeros(len(offsets) - 1, np.int64)
        room = 1024 + (int(offsets[-1]) - int(offsets[0])) // 256
        while True:
            found = np.empty((5, room), np.int64)
            count = _find(
                *(data, offsets, FOLD, FOLD_LATIN, self._bits, self._keys, self._ids),
                *(*self._automaton, self.lengths, found, words),
            )
            if count <= room:
                return Hits(*found[:, :count], words)
            room = count


def expand(pattern: str) -> Iterator[str]:
    """Phrases of a pattern: ``(a|b)`` is one of these, ``(a|b)?`` one of these or nothing."""
    parts = re.split(r"\(([^()]*)\)(\?)?", pattern)
    choices: list[list[str]] = []
    for plain, group, optional in zip(
        parts[::3], parts[1::3] + [""], parts[2::3] + [None], strict=True
    ):
        choices.append([plain])
        if group:
            choices.append([*group.split("|"), *([""] if optional else [])])
    for chosen in product(*choices):
        yield " ".join("".join(chosen).split())


def fold(text: str) -> str:
    """Text in lower case without accents, as the kernel reads it."""
    decomposed = unicodedata.normalize("NFD", text.replace("ª", "a").replace("º", "o").lower())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _folded(phrase: str) -> tuple[str, ...]:
    words = tuple(re.sub(r"[-'\"]", " ", fold(phrase)).split())
    if not 0 < len(words) <= MAX_WORDS:
        raise ValueError(f"phrase '{phrase}' has {len(words)} words, not 1 to {MAX_WORDS}")
    for word in words:
        if word != NUMBER and not (word.isascii() and word.isalnum() and not word.isdigit()):
            raise ValueError(
                f"phrase '{phrase}': '{word}' is no word of Latin letters, nor {NUMBER}"
            )
    return words


@jit
def _find(
    data,
    offsets,
    fold,
    latin,
    bits,
    keys,
    ids,
    first,
    table,
    states,
    shorter,
    lengths,
    found,
    words,
):
    mask = np.uint64(len(keys) - 1)
    prime = np.uint64(PRIME)
    basis = np.uint64(BASIS)
    room = found.shape[1]
    starts = np.zeros(MAX_WORDS, np.int64)
    count = 0
    for row in range(len(offsets) - 1):
        i, end = offsets[row], offsets[row + 1]
        state, word = np.int64(0), 0
        inside, number = False, True
        value = basis
        last = i
        while i <= end:
            step = 1
            code = BREAK
            if i < end:
                code = fold[data[i]]
                if JOINT < code < LETTER:
                    code, step = fold_at(data, i, end, latin)
            if code >= LETTER:
                if not inside:
                    inside = True
                    starts[word % MAX_WORDS] = i
                if code > 57:
                    number = False
                value = (value ^ np.uint64(code)) * prime
                last = i + step
            elif code <= JOINT:
                if inside:
                    if number:
                        value = (basis ^ np.uint64(0x23)) * prime
                    at = -1
                    if bits[value >> np.uint64(48)]:
                        slot = value & mask
                        while ids[slot] >= 0:
                            if keys[slot] == value:
                                at = ids[slot]
                                break
                            slot = (slot + np.uint64(1)) & mask
                    if at >= 0:
                        state = next_state(state, at, first, table, states)
                        ending = state if states[state, 1] >= 0 else np.int64(shorter[state])
                        while ending > 0:
                            if count < room:
                                phrase = states[ending, 1]
                                begin = word + 1 - lengths[phrase]
                                found[0, count] = row
                                found[1, count] = starts[begin % MAX_WORDS]
                                found[2, count] = last
                                found[3, count] = begin
                                found[4, count] = phrase
                            count += 1
                            ending = np.int64(shorter[ending])
                    else:
                        state = np.int64(0)
                    word += 1
                    inside, number, value = False, True, basis
                if code == BREAK:
                    state = np.int64(0)
            i = min(i + step, end) if i < end else end + 1
        words[row] = word
    return count
