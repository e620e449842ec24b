"""Arrays of an index of benchmark items, and what a search of them remembers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.decon_words import Fold, Hashes

BASE = np.uint64(0x9E3779B97F4A7C15)
"""Base of the rolling hash: odd, modulo 2**64."""


class Tables(NamedTuple):
    """The index as arrays. A segment is a text of an item; places count words over all segments.

    Attributes:
        filter: bits; ``filter_shift`` takes a hash to a bit's number.
        keys, slots: open addressing of power-of-two size; slot -> number of the seed + 1, or 0.
        firsts: (seeds + 1,) where the places of each seed begin.
        places: place of a seed's first word.
        hashes, begins, letters: of every word.
        segments: (places,) segment of each word.
        starts: (segments + 1,) first place of each.
        required: (segments,) words that a common run must have.
    """

    fold: Fold
    filter: Hashes
    filter_shift: np.uint64
    keys: Hashes
    slots: NDArray[np.int32]
    firsts: Offsets
    places: Offsets
    hashes: Hashes
    begins: Offsets
    letters: Fold
    segments: NDArray[np.int32]
    starts: Offsets
    required: Offsets
    seed: int
    mismatches: int


class Memory(NamedTuple):
    """What a search remembers; made once, changed by each call.

    Attributes:
        words: (1,) words read so far, over all texts.
        ended: (places,) where the run on a diagonal ended.
        covered: (places,) number of the text that covered a word last.
        seen, hit: (segments,) number of the text that matched last, and its hit.
        asked, work: (segments,) number of the text that was compared last, and words compared.
    """

    words: Offsets
    ended: Offsets
    covered: Offsets
    seen: Offsets
    hit: Offsets
    asked: Offsets
    work: Offsets


@jit
def seed_hashes(hashes: Hashes, starts: Offsets, seed: int) -> tuple[Hashes, Offsets]:
    """Hash and place of every run of ``seed`` words that lies in one segment."""
    found = np.empty(len(hashes), np.uint64)
    places = np.empty(len(hashes), np.int64)
    count = 0
    for segment in range(len(starts) - 1):
        for place in range(starts[segment], starts[segment + 1] - seed + 1):
            value = np.uint64(0)
            for word in range(place, place + seed):
                value = value * BASE + hashes[word]
            found[count], places[count] = value, place
            count += 1
    return found[:count].copy(), places[:count].copy()


@jit
def fill_table(values: Hashes, bits: Hashes, shift: np.uint64, size: int) -> tuple:
    """Bit filter and open addressing over distinct hashes; ``size`` is a power of two."""
    keys = np.zeros(size, np.uint64)
    slots = np.zeros(size, np.int32)
    for number in range(len(values)):
        value = values[number]
        bit = (value * BASE) >> shift
        bits[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
        slot = np.int64(value & np.uint64(size - 1))
        while slots[slot]:
            slot = (slot + 1) & (size - 1)
        keys[slot], slots[slot] = value, number + 1
    return keys, slots
