"""Index of benchmark items, searched in batches of texts.

Text and items are compared as words: lower case, punctuation and diacritics removed (copies lose
them), numbers kept. A text matches an item when it shares a run of ``n_grams`` of its words, or
the whole of an item that is shorter; what has fewer than ``min_item_words`` is not searched for.
Of an item in parts those with ``n_grams`` words are searched for, and shorter ones only if it has
none: an answer such as "Conselho Federal da Ordem dos Advogados do Brasil" is no copy of its
question. With ``mismatches: 1`` one word inside the run may differ. Memory follows the items (some
75 bytes a word) and never the corpus.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.decontamination.items import BenchmarkItem
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.decon_search import search
from tagarela_dagster.corpus.kernels.decon_tables import (
    Memory,
    Tables,
    fill_table,
    seed_hashes,
)
from tagarela_dagster.corpus.kernels.decon_words import fold_table, word_letters
from tagarela_dagster.recipe.decontamination import Decontamination

MAX_PLACES = 16
"""Places of one seed in one text of an item: of a litany that repeats itself more often, a longer
common run may go unseen."""
FILTER_BITS_EACH = 16
"""Bits of the filter for each seed: one run in 16 passes by chance."""


@dataclass(frozen=True)
class Match:
    """What a text shares with an item.

    Attributes:
        words: in the longest common run.
        covered: share of the item's searched words that common runs cover, 0 to 1.
        begin, end: UTF-8 bytes of the longest run in the text.
    """

    task: str
    item: str
    words: int
    covered: float
    begin: int
    end: int


@dataclass(frozen=True)
class Found:
    """Matches of one text, in the order in which they were found, and all that they cover.

    Attributes:
        spans: (spans, 2) first byte and byte after the last, in order, apart from each other.
    """

    matches: tuple[Match, ...]
    spans: NDArray[np.int64]


class ItemIndex:
    """Benchmark items, ready to be searched for.

    Attributes:
        items: task -> items; skipped: task -> items that are too short to be searched for.
    """

    def __init__(self, items: Iterable[BenchmarkItem], section: Decontamination) -> None:
        self.items: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self._items = sorted(items, key=lambda item: (item.task, item.id))
        parts = [(number, text) for number, item in enumerate(self._items) for text in item.texts]
        column = pa.array([text for _, text in parts], pa.large_string())
        hashes, begins, letters, first_words = word_letters(*text_buffers(column), fold_table())
        # Parts with the same words (a passage that several items ask about) are one segment.
        owners: dict[bytes, list[int]] = {}
        kept: list[NDArray[np.int64]] = []
        self._words = np.zeros(len(self._items), np.int64)
        sizes = np.diff(first_words)
        longest = np.zeros(len(self._items), np.int64)
        np.maximum.at(longest, np.array([number for number, _ in parts], np.int64), sizes)
        for row, (number, _) in enumerate(parts):
            least = section.n_grams if longest[number] >= section.n_grams else 1
            if sizes[row] < max(least, section.min_item_words):
                continue
            words = np.arange(first_words[row], first_words[row + 1])
            self._words[number] += len(words)
            low, high = begins[words[0]], begins[words[-1] + 1]
            lengths = np.diff(begins[words[0] : words[-1] + 2])
            content = lengths.tobytes() + b"|" + letters[low:high].tobytes()
            if content not in owners:
                kept.append(words)
            owners.setdefault(content, []).append(number)
        self._owners = list(owners.values())
        for number, item in enumerate(self._items):
            self.items[item.task] += 1
            self.skipped[item.task] += int(self._words[number] == 0)
        if kept:
            self._build(kept, hashes, begins, letters, section)

    def search(self, texts: pa.Array) -> dict[int, Found]:
        """What the texts share with items: row -> matches; rows that share nothing are absent."""
        if not self._owners:
            return {}
        data, offsets = text_buffers(texts)
        hits, spans = search(data, offsets, self._tables, self._memory)
        by_row: dict[int, list[NDArray[np.int64]]] = defaultdict(list)
        for hit in hits:
            by_row[int(hit[0])].append(hit)
        found = {}
        for row, of_row in by_row.items():
            start = int(offsets[row])
            bounds = np.searchsorted(spans[:, 0], [row, row + 1])
            found[row] = Found(
                self._matches(of_row, start), spans[bounds[0] : bounds[1], 1:] - start
            )
        return found

    def _matches(self, hits: list[NDArray[np.int64]], start: int) -> tuple[Match, ...]:
        """One match for each item, of the longest run in any of its parts."""
        longest: dict[int, NDArray[np.int64]] = {}
        covered: Counter[int] = Counter()
        for hit in hits:
            for owner in self._owners[hit[1]]:
                covered[owner] += int(hit[3])
                if owner not in longest or hit[2] > longest[owner][2]:
                    longest[owner] = hit
        return tuple(
            Match(
                self._items[owner].task,
                self._items[owner].id,
                int(hit[2]),
                round(covered[owner] / int(self._words[owner]), 4),
                int(hit[4]) - start,
                int(hit[5]) - start,
            )
            for owner, hit in longest.items()
        )

    def _build(
        self,
        kept: list[NDArray[np.int64]],
        hashes: NDArray[np.uint64],
        begins: NDArray[np.int64],
        letters: NDArray[np.uint32],
        section: Decontamination,
    ) -> None:
        lengths = np.array([len(words) for words in kept])
        starts = np.concatenate([[0], np.cumsum(lengths)])
        taken = np.concatenate(kept)
        sizes = begins[taken + 1] - begins[taken]
        own_begins = np.concatenate([[0], np.cumsum(sizes)])
        own_letters = np.concatenate([letters[begins[w[0]] : begins[w[-1] + 1]] for w in kept])
        segments = np.repeat(np.arange(len(kept), dtype=np.int32), lengths)
        required = np.minimum(lengths, section.n_grams)
        seed = _seed(int(required.min()), section.mismatches)
        values, places = seed_hashes(hashes[taken], starts, seed)
        values, places = _few_places(values, places, segments)
        distinct, firsts = np.unique(values, return_index=True)
        filter_bits = max(9, int(FILTER_BITS_EACH * len(distinct)).bit_length())
        bits = np.zeros(1 << (filter_bits - 6), np.uint64)
        shift = np.uint64(64 - filter_bits)
        keys, slots = fill_table(distinct, bits, shift, 1 << (2 * len(distinct)).bit_length())
        self._tables = Tables(
            fold_table(),
            bits,
            shift,
            keys,
            slots,
            np.append(firsts, len(places)).astype(np.int64),
            places,
            hashes[taken],
            own_begins,
            own_letters,
            segments,
            starts,
            required,
            seed,
            section.mismatches,
        )
        self._memory = Memory(
            # A text's first position lies beyond every diagonal's room.
            np.array([lengths.max()], np.int64),
            np.zeros(len(taken), np.int64),
            np.full(len(taken), -1, np.int64),
            np.full(len(kept), -1, np.int64),
            np.zeros(len(kept), np.int64),
            np.full(len(kept), -1, np.int64),
            np.zeros(len(kept), np.int64),
        )


def _seed(required: int, mismatches: int) -> int:
    """Words that any match has in one piece: ``required`` with one differing word inside are
    ``required - 1`` equal ones in two pieces, and the longer has half of them."""
    return required if mismatches == 0 else max(1, required // 2)


def _few_places(
    values: NDArray[np.uint64], places: NDArray[np.int64], segments: NDArray[np.int32]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Seeds in order of hash and place, at most MAX_PLACES of each hash in a segment."""
    order = np.lexsort((places, values))
    values, places = values[order], places[order]
    of = segments[places]
    new = np.ones(len(values), np.bool_)
    new[1:] = (values[1:] != values[:-1]) | (of[1:] != of[:-1])
    heads = np.flatnonzero(new)
    rank = np.arange(len(values)) - np.repeat(heads, np.diff(np.append(heads, len(values))))
    return values[rank < MAX_PLACES], places[rank < MAX_PLACES]
