"""fastText's prediction of one label, as its library computes it, over the bytes of a column.

The library (0.9.2, ``src/{dictionary,model,loss}.cc``) makes a string for every n-gram and asks a
map of strings; here n-grams are only hashes. Sums and logarithms are taken in its order and its
precision (float32, and float64 inside ``std_log``), so that scores are equal to the last bit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.xxh_memory import count_ones

BUCKET, SHORTEST, LONGEST, WIDTH = 2_000_000, 2, 4, 16
"""What the model lid.176 was trained with: hash values of n-grams, characters of an n-gram, and
numbers in a vector. Constants make fast code; a model of other values is refused when read."""

FNV_BASIS, FNV_PRIME = 2166136261, 16777619
"""Of ``Dictionary::hash``: FNV-1a, 32 bits, on *signed* bytes."""

_BASIS, _PRIME, _BUCKET = np.uint32(FNV_BASIS), np.uint32(FNV_PRIME), np.uint32(BUCKET)
_SIGN = np.uint32(0xFFFFFF00)
_NO_BITS = np.uint64(0)
_LABEL = np.frombuffer(b"__label__", np.uint8)
_END_OF_LINE = np.frombuffer(b"</s>", np.uint8)
_DEEPEST = 256


class Predictor(NamedTuple):
    """A model as the kernel reads it.

    Attributes:
        slots: (power of 2,) word slots by FNV hash: number of a word + 1; 0 is free.
        places: (words + 1,) where each word begins in ``letters``. letters: their UTF-8.
        kept: (BUCKET // 64 + 1, 2) a bit for each n-gram hash that has a vector, and how many
            have one before these 64.
        rows: (words + n-grams, WIDTH) vectors, n-grams in the order of their hashes.
        end: number of the word that ends a line.
        nodes: (labels - 1, WIDTH) vectors of the inner nodes of the Huffman tree.
        children: (2 * labels - 1, 2) left and right child; -1 of a leaf, whose number is the
            label's. The root comes last.
    """

    slots: NDArray[np.int32]
    places: NDArray[np.int64]
    letters: NDArray[np.uint8]
    kept: NDArray[np.uint64]
    rows: NDArray[np.float32]
    end: int
    nodes: NDArray[np.float32]
    children: NDArray[np.int64]


@jit
def _signed(byte):
    """A byte as C++ widens a signed char."""
    return np.uint32(byte) | (_SIGN if byte >= 128 else np.uint32(0))


@jit
def _joined(hashed, value):
    """An FNV hash with one more byte (Numba would make a product of 64 bits)."""
    return np.uint32((hashed ^ value) * _PRIME)


@jit
def _is(data, start, end, word):
    """Whether ``data[start:end]`` is a word."""
    if end - start != len(word):
        return False
    for k in range(len(word)):  # noqa: SIM110 (all() of a generator does not compile)
        if data[start + k] != word[k]:
            return False
    return True


@jit
def find_word(data, start, end, hashed, slots, places, letters):
    """Number of the word ``data[start:end]``, or ``-1 - slot`` of its free slot."""
    mask = len(slots) - 1
    slot = np.int64(hashed) & mask
    while slots[slot]:
        number = slots[slot] - 1
        if _is(data, start, end, letters[places[number] : places[number + 1]]):
            return np.int64(number)
        slot = (slot + 1) & mask
    return -1 - slot


@jit
def insert_words(letters, places, slots):
    """Fill empty slots with all words."""
    for number in range(len(places) - 1):
        hashed = _BASIS
        for k in range(places[number], places[number + 1]):
            hashed = _joined(hashed, _signed(letters[k]))
        slot = find_word(
            letters, places[number], places[number + 1], hashed, slots, places, letters
        )
        if slot < 0:
            slots[-1 - slot] = number + 1


@jit
def _line_rows(data, at, end, model, values, begins, found):
    """Rows of the vectors of a line, in the library's order; returns how many.

    Args:
        values: (longest line + 2,) uint32, begins: one more, int64: scratch.
        found: room for each word, each n-gram and the end of the line.
    """
    slots, places, letters, kept = model.slots, model.places, model.letters, model.kept
    words = len(places) - 1
    count, prefix = 0, _joined(_BASIS, np.uint32(60))
    while at < end:
        byte = data[at]
        if byte == 32 or (byte >= 9 and byte <= 13) or byte == 0:
            at += 1
            continue
        # "<", the word and ">": each byte as it is hashed, and where each character begins.
        start, size, characters, hashed = at, 1, 1, _BASIS
        values[0], begins[0] = 60, 0
        while at < end:
            byte = data[at]
            if byte == 32 or (byte >= 9 and byte <= 13) or byte == 0:
                break
            if byte & 0xC0 != 0x80:
                begins[characters] = size
                characters += 1
            values[size] = _signed(byte)
            hashed = _joined(hashed, values[size])
            size += 1
            at += 1
        if data[start] == 60 and _is(data, start, at, _END_OF_LINE):
            break
        if data[start] == 95 and at - start >= 9 and _is(data, start, start + 9, _LABEL):
            continue
        values[size], begins[characters], begins[characters + 1] = 62, size, size + 1
        characters += 1
        number = find_word(data, start, at, hashed, slots, places, letters)
        if number >= 0:
            found[count] = number
            count += 1
        for first in range(characters - 1):
            if first:
                gram, k = _BASIS, begins[first]
            else:
                gram, k = prefix, 1
            last = min(first + LONGEST, characters)
            for until in range(first + 1 if first else 2, last + 1):
                while k < begins[until]:
                    gram = _joined(gram, values[k])
                    k += 1
                if until - first >= SHORTEST:
                    value = np.int64(gram % _BUCKET)
                    bits, bit = kept[value >> 6, 0], np.uint64(value & 63)
                    below = bits & ((np.uint64(1) << bit) - np.uint64(1))
                    # Written whether the n-gram has a vector or not: no branch to mistake.
                    found[count] = words + np.int64(kept[value >> 6, 1]) + count_ones(below)
                    count += np.int64((bits >> bit) & np.uint64(1))
    found[count] = model.end
    return count + 1


@jit
def _std_log(value):
    return np.float32(math.log(np.float64(value) + 1e-5))


@jit
def _best_label(vector, nodes, children, stack, scores):
    """Most probable leaf and its logarithm: depth first, without what is less probable already."""
    labels = len(nodes) + 1
    best, best_score, depth = -1, np.float32(-np.inf), 1
    stack[0], scores[0] = len(children) - 1, 0.0
    while depth:
        depth -= 1
        node, score = stack[depth], scores[depth]
        if score < best_score:
            continue
        if children[node, 0] < 0:
            best, best_score = node, score
            continue
        dot = np.float32(0.0)
        for j in range(WIDTH):
            dot += nodes[node - labels, j] * vector[j]
        odds = np.float32(1.0) + np.float32(math.exp(-dot))
        right = np.float32(1.0 / np.float64(odds))
        left = np.float32(1.0 - np.float64(right))
        stack[depth], scores[depth] = children[node, 1], score + _std_log(right)
        stack[depth + 1], scores[depth + 1] = children[node, 0], score + _std_log(left)
        depth += 2
    return best, best_score


@jit
def predict_rows(data, offsets, model, labels, scores):
    """Most probable label of each line ``data[offsets[i]:offsets[i + 1]]``, and its probability.

    Args:
        labels: (rows,) int64, gets numbers. scores: (rows,) float32.
    """
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    values, begins = np.empty(longest + 2, np.uint32), np.empty(longest + 3, np.int64)
    # Of a word of one letter: the word and <a a> <a>; of more, at most 3 for each and one.
    found = np.empty(6 * longest + 8, np.int64)
    vector, rows = np.empty(WIDTH, np.float32), model.rows
    stack, log_scores = np.empty(_DEEPEST, np.int64), np.empty(_DEEPEST, np.float32)
    for row in range(len(offsets) - 1):
        count = _line_rows(data, offsets[row], offsets[row + 1], model, values, begins, found)
        vector[:] = 0
        for k in range(count):
            own = found[k]
            for j in range(WIDTH):
                vector[j] += rows[own, j]
        share = np.float32(1.0 / count)
        for j in range(WIDTH):
            vector[j] *= share
        label, score = _best_label(vector, model.nodes, model.children, stack, log_scores)
        labels[row] = label
        scores[row] = math.exp(score)
