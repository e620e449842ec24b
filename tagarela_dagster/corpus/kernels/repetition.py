"""Repeated n-grams of a document's words, exactly as datatrove's Gopher repetition filter counts.

Time and memory are linear in the words: hash tables sized to the document, in arrays that the
caller reuses.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.compile import jit_borrowing
from tagarela_dagster.corpus.kernels.word_tables import mix, same_bytes, spread
from tagarela_dagster.corpus.kernels.xxh_memory import load64

TOP_NS = (2, 3, 4)
DUP_NS = (5, 6, 7, 8, 9, 10)

WINDOW = 16
"""Bytes of joined words by which repeated n-grams are looked for first; what hashes read."""
BUCKETS = 8
"""Buckets a slot of a table of the words: few hashes meet in one by chance, and they are bytes."""

_HALF, _ONE, _LOW = np.uint64(32), np.uint64(1), np.uint64(0xFFFFFFFF)


@jit_borrowing
def table_size(entries):
    """Slots for so many entries: a power of two, two thirds full at most."""
    size = 16
    while size * 2 < entries * 3:
        size *= 2
    return size


@jit_borrowing
def _bucket(value, buckets):
    """A place in ``buckets`` (a power of two of them) for a mixed hash."""
    return np.int64(value >> _HALF) & (len(buckets) - 1)


@jit_borrowing
def _count(place, buckets):
    """Count up to two."""
    buckets[place] = min(2, buckets[place] + 1)


@jit_borrowing
def top_grams(ids, upto, characters, scratch, out):
    """Characters of the most frequent n-gram, counted each time, as a share of all characters.

    Among equally frequent n-grams it is the one that occurs first, as in ``Counter.most_common``;
    n-grams are numbered in that order. An n-gram that occurs twice is made of (n-1)-grams that
    do, so only those are looked at, and of pairs only those whose hash occurs twice.

    Args:
        ids: (words,) numbers. upto: (words + 1,) characters of the words before each.
        out: one share for each of TOP_NS, with n-grams joined by spaces.
    """
    words = len(ids)
    slots, keys, grams, counts = scratch.top_slots, scratch.keys, scratch.grams, scratch.counts
    places, chosen = scratch.buckets_of, scratch.chosen
    buckets = scratch.buckets[: BUCKETS * table_size(words)]
    buckets[:] = 0
    grams[:words] = 0
    for i in range(words - 1):
        key = (np.uint64(ids[i]) << _HALF) | np.uint64(ids[i + 1])
        places[i] = _bucket(mix(key), buckets)
        _count(places[i], buckets)
    candidates = 0
    for i in range(words - 1):
        chosen[candidates] = i
        candidates += np.int64(buckets[places[i]] > 1)
    for which in range(len(TOP_NS)):
        n = TOP_NS[which]
        if words < n:
            out[which] = 0.0
            continue
        size = table_size(candidates)
        slots[:size] = 0
        mask = np.uint64(size - 1)
        numbers, best, at = 0, 1, 0
        for c in range(candidates):
            i = chosen[c]
            if n == 2:
                key = (np.uint64(ids[i]) << _HALF) | np.uint64(ids[i + 1])
            elif grams[i + 1] == 0 or i > words - n:
                grams[i] = 0
                continue
            else:
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
        left, found = 0, best == 1
        for c in range(candidates):
            i = chosen[c]
            number = grams[i]
            if number:
                if not found and counts[number] == best:
                    found, at = True, i
                if counts[number] == 1:
                    grams[i] = 0
                else:
                    chosen[left] = i
                    left += 1
        candidates = left
        out[which] = best * (upto[at + n] - upto[at] + n - 1) / characters


@jit_borrowing
def dup_grams(joined, base, characters, words, scratch, out):
    """Characters in n-grams (joined without spaces) that stood earlier, as a share of all.

    datatrove walks the words and, after a repeated n-gram, goes on behind it. An n-gram of WINDOW
    bytes or more that stood earlier begins with WINDOW bytes that did, so only where their hash
    occurs twice is looked further. There candidates come from the hash of the joined bytes and
    are compared themselves.

    Args:
        joined: words one behind the other; ``joined[base:]`` is this text's.
        scratch: ``places``, ``hashes``, ``powers`` and ``upto`` of its words are filled in.
        out: one share for each of DUP_NS.
    """
    places, hashes, powers, upto = scratch.places, scratch.hashes, scratch.powers, scratch.upto
    slots, rolled, chosen = scratch.slots, scratch.rolled, scratch.chosen
    buckets_of = scratch.buckets_of
    buckets = scratch.buckets[: BUCKETS * table_size(words)]
    buckets[:] = 0
    least = DUP_NS[0]
    last = words - least + 1
    for i in range(last):
        at = base + places[i]
        buckets_of[i] = _bucket(spread(load64(joined, at), load64(joined, at + 8)), buckets)
        _count(buckets_of[i], buckets)
    candidates = 0
    for i in range(last):
        chosen[candidates] = i
        candidates += np.int64(
            (buckets[buckets_of[i]] > 1) | (places[i + least] - places[i] < WINDOW)
        )
    for c in range(candidates):
        i = chosen[c]
        value = hashes[i]
        for k in range(i + 1, i + least - 1):
            value = value * powers[k] + hashes[k]
        rolled[c] = value
    size = table_size(candidates)
    mask = np.uint64(size - 1)
    for which in range(len(DUP_NS)):
        n = DUP_NS[which]
        slots[:size] = 0
        repeated, free = 0, 0
        while candidates and chosen[candidates - 1] > words - n:
            candidates -= 1
        for c in range(candidates):
            i = chosen[c]
            value = rolled[c] * powers[i + n - 1] + hashes[i + n - 1]
            rolled[c] = value
            if i < free:
                continue
            mixed = mix(value)
            half, slot = mixed >> _HALF, mixed & mask
            length = places[i + n] - places[i]
            while True:
                entry = slots[slot]
                if entry == 0:
                    slots[slot] = (half << _HALF) | np.uint64(c + 1)
                    break
                if entry >> _HALF == half:
                    c_other = np.int64(entry & _LOW) - 1
                    other = chosen[c_other]
                    if (
                        rolled[c_other] == value
                        and places[other + n] - places[other] == length
                        and same_bytes(
                            joined, base + places[other], joined, base + places[i], length
                        )
                    ):
                        repeated += upto[i + n] - upto[i]
                        free = i + n
                        break
                slot = (slot + _ONE) & mask
        out[which] = repeated / characters if words >= n else 0.0
