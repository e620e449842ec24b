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

NUMBER = "<n>"
"""A word of digits alone, whatever the digits."""

_BASIS, _PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a, 64 bits
_SLOTS = 1 << 13
_BITS = 1 << 16

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
        self._keys, self._ids, self._bits = _word_table(vocabulary)
        self._automaton = _automaton(folded, vocabulary)

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


def _hash(word: str) -> int:
    value = _BASIS
    for byte in b"#" if word == NUMBER else word.encode():
        value = (value ^ byte) * _PRIME % (1 << 64)
    return value


def _word_table(
    vocabulary: dict[str, int],
) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.uint8]]:
    """Open hash table word hash -> word number, and a bit for each hash to say no quickly."""
    slots = max(_SLOTS, 4 << len(vocabulary).bit_length())
    keys, ids = np.zeros(slots, np.uint64), np.full(slots, -1, np.int32)
    bits = np.zeros(_BITS, np.uint8)
    for word, number in vocabulary.items():
        value = _hash(word)
        slot = value & (slots - 1)
        while ids[slot] >= 0:
            slot = (slot + 1) & (slots - 1)
        keys[slot], ids[slot] = value, number
        bits[value >> 48] = 1
    return keys, ids, bits


def _automaton(
    phrases: Sequence[tuple[str, ...]], vocabulary: dict[str, int]
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """The trie of phrases with its failure links (Aho and Corasick, 1975).

    Returns:
        (words,) states after the first word; (slots, 2) open hash table of later transitions,
        state << 32 | word -> state; (states, 2) failure link and the phrase that ends in the
        state; (states,) the longest suffix in which a phrase ends. -1 stands for none.
    """
    children: list[dict[int, int]] = [{}]
    output = [-1]
    again: list[tuple[int, int]] = []
    for number, words in enumerate(phrases):
        state = 0
        for word in words:
            state = children[state].setdefault(vocabulary[word], len(children))
            if state == len(children):
                children.append({})
                output.append(-1)
        if output[state] < 0:
            output[state] = number
        else:
            again.append((state, number))
    fail, shorter = [0] * len(children), [-1] * len(children)
    queue = list(children[0].values())
    for state in queue:
        suffix = fail[state]
        shorter[state] = suffix if output[suffix] >= 0 else shorter[suffix]
        for word, child in children[state].items():
            suffix = fail[state]
            while suffix and word not in children[suffix]:
                suffix = fail[suffix]
            fail[child] = children[suffix].get(word, 0)
            queue.append(child)
    # An equal phrase ends in a state of its own that only the chain of shorter ones leads to.
    for state, number in again:
        fail.append(0)
        output.append(number)
        shorter.append(shorter[state])
        shorter[state] = len(shorter) - 1
    first = np.full(max(1, len(vocabulary)), 0, np.int32)
    for word, child in children[0].items():
        first[word] = child
    slots = 4 << len(children).bit_length()
    table = np.full((slots, 2), -1, np.int64)
    for state, following in enumerate(children[1:], 1):
        for word, child in following.items():
            key = state << 32 | word
            slot = _slot(key, slots - 1)
            while table[slot, 0] >= 0:
                slot = (slot + 1) & (slots - 1)
            table[slot] = key, child
    states = np.stack([np.array(fail, np.int32), np.array(output, np.int32)], axis=1)
    return first, table, states, np.array(shorter, np.int32)


def _slot(key: int, mask: int) -> int:
    return (key * 0x9E3779B97F4A7C15 % (1 << 64) >> 32) & mask


@jit
def _step(state, word, first, table, states):
    """The state after a word that phrases are made of."""
    mask = len(table) - 1
    while state:
        key = (np.int64(state) << 32) | np.int64(word)
        spread = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
        slot = np.int64(spread) & mask
        while table[slot, 0] >= 0:
            if table[slot, 0] == key:
                return table[slot, 1]
            slot = (slot + 1) & mask
        state = np.int64(states[state, 0])
    return np.int64(first[word])


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
    prime = np.uint64(_PRIME)
    basis = np.uint64(_BASIS)
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
                        state = _step(state, at, first, table, states)
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
