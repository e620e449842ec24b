"""N-gram language model: from UTF-8 bytes to word numbers, and from these to log-probabilities.

A line is a sentence; words, numbers and marks are its tokens (``ngram_words``). Tables are open
addressing with linear probing over rows of two 64-bit words, key first (0: empty), so that a
look-up touches one cache line:

- vocabulary: (slots, 2) uint64: hash of the token, its number;
- n-grams of order k: (slots, 2) uint64: ``place of the first k - 1 tokens << 24 | last token``
  plus 1, then log10 probability and log10 back-off weight, a float32 each. The place of one token
  is its number; of more, the row in the table of their order.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.ngram_words import (
    END,
    LINE,
    MAX_WORD_BYTES,
    mix,
    next_token,
    word_hash,
)

UNKNOWN, BEGIN, FINISH = 0, 1, 2
"""Numbers of ``<unk>``, ``<s>`` and ``</s>``; words follow."""
WORD_BITS = 24
MAX_ORDER = 5


@jit
def token_hashes(data, offsets, out):
    """Hash of every token; 1 ends a sentence. Returns how many (``out`` must have room).

    A text of n bytes has at most n + 1 tokens and sentence ends.
    """
    word, found = np.zeros(MAX_WORD_BYTES + 8, np.uint8), 0
    for row in range(len(offsets) - 1):
        position, end, open_sentence = offsets[row], offsets[row + 1], False
        while True:
            position, length, kind, _ = next_token(data, position, end, word)
            if kind in (END, LINE):
                if open_sentence:
                    out[found] = 1
                    found += 1
                    open_sentence = False
                if kind == END:
                    break
                continue
            value = word_hash(word, length, kind)
            # 1 ends sentences; a token with that hash takes the next one.
            out[found] = value if value > np.uint64(1) else np.uint64(2)
            found += 1
            open_sentence = True
    return found


@jit
def insert(table, keys, values):
    """Put (n,) keys, all different and not 0, into a table; returns the row of each."""
    mask = np.uint64(len(table) - 1)
    places = np.empty(len(keys), np.int64)
    for i in range(len(keys)):
        slot = mix(keys[i]) & mask
        while table[slot, 0] != np.uint64(0):
            slot = (slot + np.uint64(1)) & mask
        table[slot, 0] = keys[i]
        table[slot, 1] = values[i]
        places[i] = np.int64(slot)
    return places


@jit
def find(table, key):
    """Row of a key, -1 where it is not."""
    mask = np.uint64(len(table) - 1)
    slot = mix(key) & mask
    while True:
        found = table[slot, 0]
        if found == key:
            return np.int64(slot)
        if found == np.uint64(0):
            return np.int64(-1)
        slot = (slot + np.uint64(1)) & mask


@jit
def word_numbers(hashes, vocabulary):
    """(n,) numbers of tokens by their hashes; a sentence end is FINISH."""
    out = np.empty(len(hashes), np.int32)
    for i in range(len(hashes)):
        if hashes[i] == np.uint64(1):
            out[i] = FINISH
        else:
            row = find(vocabulary, hashes[i])
            out[i] = UNKNOWN if row < 0 else np.int32(vocabulary[row, 1])
    return out


@jit
def score_texts(data, offsets, vocabulary, words, grams, values, starts):
    """Summed log10 probability of each text and its tokens, sentence ends included.

    Args:
        vocabulary: (slots, 2) uint64.
        words: (vocabulary, 2) float32: log10 probability and back-off of single tokens.
        grams: (rows, 2) uint64: the tables of orders 2, 3, … one behind the other.
        values: the same memory as (rows, 4) float32.
        starts: (order,) int64: first row of each table, then the end.

    Returns:
        (rows, 2) float64.
    """
    totals = np.zeros((len(offsets) - 1, 2), np.float64)
    word = np.zeros(MAX_WORD_BYTES + 8, np.uint8)
    order = len(starts)
    # Places of the last 1, 2, … tokens; -1 where the model does not have them.
    context, after = np.empty(MAX_ORDER, np.int64), np.empty(MAX_ORDER, np.int64)
    for row in range(len(offsets) - 1):
        position, end, tokens, total = offsets[row], offsets[row + 1], 0, 0.0
        context[:] = -1
        context[0] = BEGIN
        fresh = True
        while True:
            position, length, kind, _ = next_token(data, position, end, word)
            if kind in (END, LINE):
                if fresh:
                    if kind == END:
                        break
                    continue
                number = FINISH
            else:
                value = word_hash(word, length, kind)
                if value == np.uint64(1):
                    value = np.uint64(2)
                place = find(vocabulary, value)
                number = UNKNOWN if place < 0 else np.int64(vocabulary[place, 1])
            probability = float(words[number, 0])
            after[0] = number
            for k in range(1, order):
                after[k] = -1
                before = context[k - 1]
                if before < 0:
                    continue
                if number != UNKNOWN and (k == 1 or after[k - 1] >= 0):
                    key = (np.uint64(before) << np.uint64(WORD_BITS)) | np.uint64(number)
                    first = starts[k - 1]
                    found = find(grams[first : starts[k]], key + np.uint64(1))
                    if found >= 0:
                        after[k] = found
                        probability = float(values[first + found, 2])
                        continue
                if k == 1:
                    probability += words[before, 1]
                else:
                    probability += values[starts[k - 2] + before, 3]
            total += probability
            tokens += 1
            if number == FINISH:
                context[:] = -1
                context[0] = BEGIN
                fresh = True
            else:
                context[:] = after
                fresh = False
            if kind == END:
                break
        totals[row, 0] = total
        totals[row, 1] = tokens
    return totals
