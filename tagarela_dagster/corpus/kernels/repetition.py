"""Repeated n-grams of a document's words, exactly as datatrove's Gopher repetition filter counts.

Time and memory are linear in the words: hash tables sized to the document, in arrays that the
caller reuses.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.word_tables import mix

TOP_NS = (2, 3, 4)
DUP_NS = (5, 6, 7, 8, 9, 10)

_HALF, _ONE, _LOW = np.uint64(32), np.uint64(1), np.uint64(0xFFFFFFFF)


@jit
def table_size(entries):
    """Slots for so many entries: a power of two, two thirds full at most."""
    size = 16
    while size * 2 < entries * 3:
        size *= 2
    return size


@jit
def top_grams(ids, upto, characters, slots, keys, grams, counts, out):
    """Characters of the most frequent n-gram, counted each time, as a share of all characters.

    Among equally frequent n-grams it is the one that occurs first, as in ``Counter.most_common``;
    n-grams are numbered in that order. An n-gram that occurs twice is made of (n-1)-grams that
    do, so only those are looked at.

    Args:
        ids: (words,) numbers. upto: (words + 1,) characters of the words before each.
        slots: (table_size(words),) int32, keys: same, uint64, grams: (words,) int32,
            counts: (words + 1,) int32: scratch.
        out: one share for each of TOP_NS, with n-grams joined by spaces.
    """
    words = len(ids)
    for i in range(words):
        grams[i] = ids[i] + 1
    candidates = words
    for which in range(len(TOP_NS)):
        n = TOP_NS[which]
        if words < n:
            out[which] = 0.0
            continue
        size = table_size(candidates)
        slots[:size] = 0
        mask = np.uint64(size - 1)
        numbers, best, at = 0, 1, 0
        for i in range(words - n + 1):
            if grams[i] == 0 or grams[i + 1] == 0:
                grams[i] = 0
                continue
            key = (np.uint64(grams[i]) << _HALF) | np.uint64(grams[i + 1])
            slot = mix(key) & mask
            while slots[slot] != 0 and keys[slot] != key:
                slot = (slot + _ONE) & mask
            number = slots[slot]
            if number == 0:
                numbers += 1
                number = numbers
                slots[slot] = number
                keys[slot] = key
                counts[number] = 0
            counts[number] += 1
            best = max(best, counts[number])
            grams[i] = number
        candidates, found = 0, best == 1
        for i in range(words - n + 1):
            number = grams[i]
            if number:
                if not found and counts[number] == best:
                    found, at = True, i
                if counts[number] == 1:
                    grams[i] = 0
                else:
                    candidates += 1
        for i in range(words - n + 1, words):
            grams[i] = 0
        out[which] = best * (upto[at + n] - upto[at] + n - 1) / characters


@jit
def _same_joined(a, b, n, ids, starts, sizes, data, base):
    """Whether two n-grams are equal when their words are joined without spaces."""
    same = True
    for k in range(n):
        if ids[a + k] != ids[b + k]:
            same = False
            break
    if same:
        return True
    a_left = b_left = 0
    for k in range(n):
        a_left += sizes[a + k]
        b_left += sizes[b + k]
    if a_left != b_left:
        return False
    a_at = b_at = 0
    while a_left:
        while a_at == sizes[a]:
            a, a_at = a + 1, 0
        while b_at == sizes[b]:
            b, b_at = b + 1, 0
        if data[base + starts[a] + a_at] != data[base + starts[b] + b_at]:
            return False
        a_at, b_at, a_left = a_at + 1, b_at + 1, a_left - 1
    return True


@jit
def dup_grams(ids, starts, sizes, hashes, powers, upto, characters, data, base, slots, rolled, out):
    """Characters in n-grams (joined without spaces) that stood earlier, as a share of all.

    datatrove walks the words and, after a repeated n-gram, goes on behind it. Candidates come
    from the hash of the joined bytes and are compared themselves.

    Args:
        ids, starts, sizes, hashes, powers: (words,) number, place (bytes from ``base``), bytes,
            polynomial hash and HASH_BASE**bytes of each word.
        upto: (words + 1,) characters of the words before each.
        slots: (table_size(words),) uint64, rolled: (words,) uint64: scratch.
        out: one share for each of DUP_NS.
    """
    words = len(ids)
    size = table_size(words)
    mask = np.uint64(size - 1)
    for i in range(words):
        value = hashes[i]
        for k in range(1, min(DUP_NS[0] - 1, words - i)):
            value = value * powers[i + k] + hashes[i + k]
        rolled[i] = value
    for which in range(len(DUP_NS)):
        n = DUP_NS[which]
        if words < n:
            out[which] = 0.0
            continue
        slots[:size] = 0
        repeated, free = 0, 0
        for i in range(words - n + 1):
            value = rolled[i] * powers[i + n - 1] + hashes[i + n - 1]
            rolled[i] = value
            if i < free:
                continue
            mixed = mix(value)
            half, slot = mixed >> _HALF, mixed & mask
            while True:
                entry = slots[slot]
                if entry == 0:
                    slots[slot] = (half << _HALF) | np.uint64(i + 1)
                    break
                if entry >> _HALF == half:
                    other = np.int64(entry & _LOW) - 1
                    if rolled[other] == value and _same_joined(
                        other, i, n, ids, starts, sizes, data, base
                    ):
                        repeated += upto[i + n] - upto[i]
                        free = i + n
                        break
                slot = (slot + _ONE) & mask
        out[which] = repeated / characters
