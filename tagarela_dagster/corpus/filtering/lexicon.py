"""Words exactly as datatrove gets them from spaCy's Portuguese tokenizer, at the kernels' speed.

FineWeb-2 derived its Portuguese thresholds with these words (``split_into_words(text, "por")`` of
datatrove), so another segmentation would need other thresholds. spaCy's tokenizer splits text at
whitespace and then each chunk on its own, so a lexicon from chunk to words gives the same words.
Kernels fill it by spaCy's own algorithm (``kernels.spacy_chunks``), and spaCy fills it with the
chunks that they refuse, once per distinct chunk. Only a special case that matches across two
chunks (some emoticons) can differ: docs/filters.md has the measured share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.filtering.lexicon_files import (
    Chunks,
    read_segments,
    write_segment,
)
from tagarela_dagster.corpus.filtering.spacy_rules import new_tokenizer, spacy_rules
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, read_only, text_buffers
from tagarela_dagster.corpus.kernels.chunk_tables import PADDING
from tagarela_dagster.corpus.kernels.split import (
    SCRATCH,
    TABLES_FULL,
    UNKNOWN_WORDS,
    WORDS_FULL,
    split_rows,
)
from tagarela_dagster.corpus.kernels.word_learning import export, insert, learn
from tagarela_dagster.corpus.kernels.word_storage import (
    Special,
    empty_tables,
    with_room,
)
from tagarela_dagster.corpus.kernels.word_tables import CHUNKS

MAX_CHUNKS = 1_000_000
"""Distinct chunks after which a lexicon starts again, keeping half as many of those that it has
from spaCy. So some 200 MB are held, beside what one document brings. Technical text has 9,000
distinct chunks a megabyte, of which spaCy is asked for a few."""

MAX_REMEMBERED = 200_000
"""Chunks asked of one tokenizer, whose vocabulary keeps each (some 500 bytes)."""

GROUP_BYTES = 4_000_000
"""Text that is split at once; a longer document is a group of its own."""


class Words(NamedTuple):
    """Words of some texts.

    Attributes:
        ids: (words,) number in the lexicon's tables, good until the next ``split``.
        starts: (words,) where each begins, in bytes from the first text's beginning.
        ends: (texts,) how many words there are up to each text's end.
        joined: the words, one behind the other, and PADDING bytes.
        joined_ends: (texts,) where each text ends in ``joined``.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    joined: Bytes
    joined_ends: NDArray[np.int64]


class Lexicon:
    """Whitespace-delimited chunk -> numbers of its words, filled on demand.

    Args:
        marked: words whose numbers are their places in this list (the stop words).
        max_chunks: distinct chunks beyond which ``split`` starts the lexicon again.

    Attributes:
        tables: the arrays that kernels read.
        asked: how many chunks spaCy was asked for.
    """

    def __init__(self, marked: Iterable[str] = (), max_chunks: int = MAX_CHUNKS) -> None:
        self.max_chunks = max_chunks
        self.folder: Path | None = None
        self.asked = 0
        self._rules = spacy_rules()
        self._special = Special(
            list(dict.fromkeys(marked)), self._rules.special, self._rules.split, self._rules.pairs
        )
        self.kit = self._rules.kit
        self.tables = empty_tables(self._special, self.kit.classes)
        self._learned: list[NDArray[np.int64]] = []
        self._unsaved = self._settled = 0
        self._tokenizer = new_tokenizer()
        self._remembered = 0
        self._scratch = np.empty((5, SCRATCH), np.int64)

    @classmethod
    def open(
        cls, folder: Path | None, marked: Iterable[str] = (), max_chunks: int = MAX_CHUNKS
    ) -> Lexicon:
        """A lexicon that knows what earlier processes saved in ``folder`` (None: nothing).

        A file that is damaged, or was made by another spaCy, is left out; damage is logged.
        """
        lexicon = cls(marked, max_chunks)
        if folder is not None:
            lexicon.folder = folder / lexicon._rules.identity
            for chunks in read_segments(lexicon.folder, max_chunks // 2):
                lexicon._add(chunks)
        return lexicon

    def save(self) -> None:
        """Add what spaCy was asked for since ``open`` to the folder; does nothing without one.

        Chunks that may be personal data are left out (``lexicon_files``).
        Any number of processes may save into the same folder.
        """
        if self.folder is None or not self._unsaved:
            return
        numbers = np.concatenate(self._learned[-self._unsaved :])
        write_segment(self.folder, self._exported(numbers))
        self._unsaved = 0

    def __len__(self) -> int:
        return int(self.tables.counts[CHUNKS])

    def groups(self, offsets: Offsets) -> Iterator[tuple[int, int]]:
        """Ranges of rows of at most GROUP_BYTES, or of one row that is larger."""
        row, rows = 0, len(offsets) - 1
        while row < rows:
            stop = int(np.searchsorted(offsets, offsets[row] + GROUP_BYTES, "right")) - 1
            stop = min(max(stop, row + 1), rows)
            yield row, stop
            row = stop

    def split(self, data: Bytes, offsets: Offsets) -> Words:
        """Words of texts ``data[offsets[i]:offsets[i + 1]]``; numbers are those of ``tables``."""
        if len(self) > self.max_chunks:
            self._trim()
        data, offsets = read_only(data), read_only(offsets)
        rows, size = len(offsets) - 1, int(offsets[-1] - offsets[0])
        # Portuguese has a word for every five or six bytes.
        room = size // 4 + 64
        ids, starts = np.empty(room, np.int32), np.empty(room, np.int64)
        joined = np.empty(size + PADDING, np.uint8)
        ends, joined_ends = np.zeros((2, rows), np.int64)
        longest = int(np.diff(offsets).max(initial=0))
        marks = np.empty(longest // 2 + 2, np.int64)
        row = 0
        while row < rows:
            row, missing = split_rows(
                data, offsets, row, self.kit, self.tables, self._scratch, marks,
                joined, joined_ends, ids, starts, ends,
            )  # fmt: skip
            if missing == TABLES_FULL:
                self.tables = with_room(self.tables, SCRATCH)
            elif missing == UNKNOWN_WORDS:
                self._ask()
            elif missing == WORDS_FULL:
                ids = np.concatenate([ids, np.empty_like(ids)])
                starts = np.concatenate([starts, np.empty_like(starts)])
        words = int(ends[-1]) if rows else 0
        return Words(ids[:words], starts[:words], ends, joined, joined_ends)

    def words(self, text: str) -> list[str]:
        """Words of one text, to look at."""
        ids = self.split(*text_buffers(pa.array([text], pa.large_string()))).ids
        return [self.word(number) for number in ids.tolist()]

    def word(self, number: int) -> str:
        """The word of a number."""
        place = int(self.tables.words[number, 3])
        start, size = place >> 24, place & 0xFFFFFF
        return self.tables.arena[start : start + size].tobytes().decode()

    def _ask(self) -> None:
        """Ask spaCy for the words of the chunks that have none."""
        settled = self._settled
        numbers = settled + np.flatnonzero(self.tables.chunks[settled : len(self), 3] == 0)
        ends: list[int] = []
        counts = np.empty(len(numbers), np.int64)
        for place, number in enumerate(numbers.tolist()):
            start, size = self.tables.chunks[number, :2].tolist()
            found = self._cut(self.tables.arena[start : start + size].tobytes())
            counts[place] = len(found)
            ends += found
        self._learn(numbers, np.array(ends, np.int64), counts)
        self.asked += len(numbers)
        self._unsaved += 1

    def _learn(
        self, numbers: NDArray[np.int64], ends: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> None:
        self.tables = with_room(self.tables, len(ends) + SCRATCH)
        learn(numbers, ends, counts, self.kit.classes, self.tables)
        self._learned.append(numbers)
        self._settled = len(self)

    def _cut(self, chunk: bytes) -> list[int]:
        """Where the words of a chunk end, in bytes."""
        try:
            text = chunk.decode()
        except UnicodeDecodeError:
            # Not from an Arrow string: bytes that are no text are one word.
            return [len(chunk)]
        if self._remembered >= MAX_REMEMBERED:
            self._tokenizer, self._remembered = new_tokenizer(), 0
        self._remembered += 1
        sizes = [len(token.text.encode()) for token in self._tokenizer(text)]
        return np.cumsum(sizes).tolist()

    def _add(self, chunks: Chunks) -> None:
        """Add chunks whose words are known."""
        data, offsets, ends, counts = chunks
        self.tables = with_room(self.tables, max(len(counts), len(ends), len(data)) + SCRATCH)
        numbers = np.empty(len(counts), np.int64)
        padded = np.concatenate([data, np.zeros(PADDING, np.uint8)])
        insert(padded, read_only(offsets), self.tables, numbers)
        new = numbers >= 0
        self._learn(numbers[new], ends[np.repeat(new, counts)], counts[new])

    def _exported(self, numbers: NDArray[np.int64]) -> Chunks:
        used = self.tables.chunks[numbers]
        data = np.empty(int(used[:, 1].sum()), np.uint8)
        offsets = np.empty(len(numbers) + 1, np.int64)
        ends = np.empty(int(used[:, 3].sum()), np.int64)
        counts = np.empty(len(numbers), np.int64)
        export(numbers, self.tables, data, offsets, ends, counts)
        return Chunks(data, offsets, ends, counts)

    def _trim(self) -> None:
        """Start again with the newest half of what spaCy was asked for."""
        self.save()
        numbers = np.concatenate([np.empty(0, np.int64), *self._learned])
        kept = self._exported(numbers[-(self.max_chunks // 2) :])
        self.tables = empty_tables(self._special, self.kit.classes)
        self._learned, self._unsaved, self._settled = [], 0, 0
        self._add(kept)
