"""Phrases as tables that kernels walk: words by their hash, and an Aho-Corasick automaton."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.compile import jit_borrowing

NUMBER = "<n>"
"""A word of digits alone, whatever the digits."""

BASIS, PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a, 64 bits
_SLOTS = 1 << 13
_BITS = 1 << 16


def _hash(word: str) -> int:
    value = BASIS
    for byte in b"#" if word == NUMBER else word.encode():
        value = (value ^ byte) * PRIME % (1 << 64)
    return value


def word_table(
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


def automaton(
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


@jit_borrowing
def next_state(state, word, first, table, states):
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
