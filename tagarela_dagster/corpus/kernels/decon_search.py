"""Search of benchmark items in texts: seeds by a rolling hash, then common runs word by word.

Every ``seed`` consecutive words of an item are in a table under the hash of the run. A text's runs
are looked up in a bit filter that fits the cache, then in the table; what is there is extended to
both sides by the words' hashes, and what is long enough is compared letter by letter, so that a
match is never a collision and its whole length is known. Each diagonal (place in the text minus
place in the item) is extended once. A litany that meets a litany has a long run on every diagonal:
a budget of comparisons for each item and text, which text that does not repeat itself never uses
up, keeps the work linear. What it leaves out is the n-th overlapping run of an item that is already
found.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.decon_runs import TextWords, common_run
from tagarela_dagster.corpus.kernels.decon_tables import BASE, Memory, Tables
from tagarela_dagster.corpus.kernels.decon_words import (
    SEPARATOR,
    TABLE_SIZE,
    Fold,
    cut_words,
    decode,
)

HIT_COLUMNS = 6
"""Row, segment, words of the longest run, words covered, first byte, byte after the last."""
BUDGET = 16
"""Times that the words of a text so far, and of an item's text, may be compared with each other."""


@jit
def _end_of_word(data: Bytes, at: int, end: int, fold: Fold) -> int:
    """Byte after the word that begins at ``at``."""
    while at < end:
        code, size = decode(data, at, end)
        if code < TABLE_SIZE and fold[code] == SEPARATOR:
            break
        at += size
    return at


@jit
def _grown(array: NDArray[np.int64]) -> NDArray[np.int64]:
    larger = np.empty((2 * len(array), array.shape[1]), np.int64)
    larger[: len(array)] = array
    return larger


@jit
def search(
    data: Bytes, offsets: Offsets, tables: Tables, memory: Memory
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Common runs of texts and items.

    Returns:
        (hits, 6): for each text and segment that share a run, HIT_COLUMNS; in order of the texts,
        and in each by the place of the first run found. (spans, 3): row, first byte and byte after
        the last of what the runs cover in a text, in order, apart from each other.
    """
    rows = len(offsets) - 1
    widest = 0
    for row in range(rows):
        widest = max(widest, offsets[row + 1] - offsets[row])
    hashes = np.empty(widest // 2 + 1, np.uint64)
    starts = np.empty(widest // 2 + 1, np.int64)
    marked = np.empty(widest // 2 + 1, np.uint8)
    hits = np.empty((16, HIT_COLUMNS), np.int64)
    spans = np.empty((16, 3), np.int64)
    hit_count, span_count = 0, 0
    seed = tables.seed
    size = len(tables.keys)
    power = np.uint64(1)
    for _ in range(seed):
        power *= BASE
    for row in range(rows):
        end = offsets[row + 1]
        words = cut_words(data, offsets[row], end, tables.fold, hashes, starts)
        text = TextWords(data, end, hashes, starts, words)
        base = memory.words[0]
        memory.words[0] += words + 1
        value = np.uint64(0)
        is_marked = False
        for last in range(words):
            value = value * BASE + hashes[last]
            if last >= seed:
                value -= hashes[last - seed] * power
            if last < seed - 1:
                continue
            bit = (value * BASE) >> tables.filter_shift
            if not (tables.filter[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1):
                continue
            slot = np.int64(value & np.uint64(size - 1))
            while tables.slots[slot] and tables.keys[slot] != value:
                slot = (slot + 1) & (size - 1)
            number = tables.slots[slot] - 1
            if number < 0:
                continue
            first = last - seed + 1
            for index in range(tables.firsts[number], tables.firsts[number + 1]):
                place = tables.places[index]
                segment = tables.segments[place]
                low, high = tables.starts[segment], tables.starts[segment + 1]
                # A text's position is on one diagonal for each place of the segment, so the
                # remainder tells those apart that can meet here; what an older diagonal left in
                # the same room ended before this position.
                shift = base + first - (place - low)
                room = low + shift % (high - low)
                if memory.ended[room] > base + first:
                    continue
                if memory.asked[segment] != base:
                    memory.asked[segment], memory.work[segment] = base, 0
                elif memory.work[segment] > BUDGET * (last + high - low):
                    continue
                run = common_run(text, tables, first, place)
                begin, stop, gap, block_end = run
                if stop == 0:
                    continue
                memory.ended[room] = base + block_end
                memory.work[segment] += stop - begin
                if stop - begin < tables.required[segment]:
                    continue
                if memory.seen[segment] != base:
                    memory.seen[segment], memory.hit[segment] = base, hit_count
                    if hit_count == len(hits):
                        hits = _grown(hits)
                    hits[hit_count] = 0
                    hits[hit_count, 0], hits[hit_count, 1] = row, segment
                    hit_count += 1
                hit = hits[memory.hit[segment]]
                if not is_marked:
                    marked[:words] = 0
                    is_marked = True
                marked[begin:stop] = 1
                for word in range(begin, stop):
                    covered = place + word - first
                    if word != gap and memory.covered[covered] != base:
                        memory.covered[covered] = base
                        hit[3] += 1
                if stop - begin > hit[2]:
                    hit[2] = stop - begin
                    hit[4] = starts[begin]
                    hit[5] = _end_of_word(data, starts[stop - 1], end, tables.fold)
        if is_marked:
            word = 0
            while word < words:
                if not marked[word]:
                    word += 1
                    continue
                begin = word
                while word < words and marked[word]:
                    word += 1
                if span_count == len(spans):
                    spans = _grown(spans)
                spans[span_count, 0] = row
                spans[span_count, 1] = starts[begin]
                spans[span_count, 2] = _end_of_word(data, starts[word - 1], end, tables.fold)
                span_count += 1
    return hits[:hit_count].copy(), spans[:span_count].copy()
