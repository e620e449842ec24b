"""Words of normalised texts as spaCy gives them, each distinct chunk of text being asked for once.

spaCy's tokenizer splits text at white space and each chunk on its own. After normalisation a chunk
is nearly always plain letters or ``0``, which it leaves whole; the others are kept with the places
where it cuts them. docs/formats.md says where that may differ from spaCy.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.dedup.normalize import Chunks
from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.normalize_words import (
    count_cuts,
    cut_chunks,
    fill_slots,
    find_chunks,
)
from tagarela_dagster.corpus.kernels.xxh64 import PADDING, xxh64_slices

MAX_CHUNKS = 1 << 20
"""Distinct chunks after which the table starts again: some 60 bytes each."""
LEXICON_CHUNKS = 1 << 16
"""Chunks that the lexicon below may hold: it is asked for each once, so it need not remember."""
_FIRST_SLOTS = 1 << 12


class ChunkTable:
    """Hard chunk -> where spaCy cuts it, filled on demand."""

    def __init__(self, max_chunks: int = MAX_CHUNKS) -> None:
        self.max_chunks = max_chunks
        self._lexicon = Lexicon(max_chunks=LEXICON_CHUNKS)
        self._clear()

    def __len__(self) -> int:
        return self._size

    def _clear(self) -> None:
        self._size = 0
        self._slots = np.full(_FIRST_SLOTS, -1, np.int32)
        self._hashes = np.empty(0, np.uint64)
        self._keys: Bytes = np.empty(0, np.uint8)
        self._key_ends = self._cut_ends = np.zeros(1, np.int64)
        self._cuts = np.empty(0, np.int64)

    def words(self, chunks: Chunks) -> tuple[Bytes, Offsets]:
        """The texts with a space between words: bytes, PADDING more than that, and offsets."""
        found = self._find(chunks)
        cuts = count_cuts(found, self._cut_ends)
        if not cuts:
            return chunks.data, chunks.offsets
        data = np.empty(chunks.offsets[-1] + cuts + PADDING, np.uint8)
        offsets = np.empty_like(chunks.offsets)
        cut_chunks(
            chunks.data,
            chunks.offsets,
            chunks.hard_starts,
            found,
            self._cuts,
            self._cut_ends,
            data,
            offsets,
        )
        return data, offsets

    def _find(self, chunks: Chunks) -> NDArray[np.int32]:
        """(hard chunks,) number of each."""
        if self._size > self.max_chunks:
            self._clear()
        found = np.empty(len(chunks.hard_starts), np.int32)
        if self._look_up(chunks, found):
            missing = np.flatnonzero(found < 0)
            places = zip(chunks.hard_starts[missing], chunks.hard_ends[missing], strict=True)
            self._add(dict.fromkeys(chunks.data[start:end].tobytes() for start, end in places))
            self._look_up(chunks, found)
        return found

    def _look_up(self, chunks: Chunks, found: NDArray[np.int32]) -> int:
        return find_chunks(
            chunks.data,
            chunks.hard_starts,
            chunks.hard_ends,
            self._slots,
            self._hashes,
            self._keys,
            self._key_ends,
            found,
        )

    def _add(self, new: dict[bytes, None]) -> None:
        """Enter chunks that are not there yet."""
        keys = np.frombuffer(b"".join(new) + bytes(PADDING), np.uint8)
        ends = np.fromiter(accumulate(map(len, new)), np.int64, len(new))
        offsets = np.concatenate([[0], ends])
        hashes = xxh64_slices(keys, offsets[:-1], ends)
        words = self._lexicon.split(keys[:-PADDING], offsets)
        cuts = np.delete(words.starts, np.concatenate([[0], words.ends[:-1]]))
        cut_ends = words.ends - np.arange(1, len(new) + 1)
        cuts = cuts - np.repeat(offsets[:-1], np.diff(cut_ends, prepend=0))
        first, self._size = self._size, self._size + len(new)
        self._hashes = np.concatenate([self._hashes, hashes])
        self._key_ends = np.concatenate([self._key_ends, ends + len(self._keys)])
        self._keys = np.concatenate([self._keys, keys[:-PADDING]])
        self._cut_ends = np.concatenate([self._cut_ends, cut_ends + len(self._cuts)])
        self._cuts = np.concatenate([self._cuts, cuts])
        if 2 * self._size > len(self._slots):
            size = len(self._slots)
            while size < 4 * self._size:
                size *= 2
            self._slots, first = np.full(size, -1, np.int32), 0
        fill_slots(self._slots, self._hashes, first, self._size)
