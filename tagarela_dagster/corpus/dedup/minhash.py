"""MinHash signatures equal to datatrove's, and exact hashes, computed for a column at once.

datatrove (src/datatrove/pipeline/dedup/minhash.py) hashes the word n-grams of the normalised text
with XXH64 and takes, for each of ``bands * rows`` functions ``(a*x + b) mod (2**61 - 1)`` in
wrapping 64-bit arithmetic, the least value. The same numbers come out here, tested against it, at
over a hundred times its speed; what is kept is the XXH64 of each band's rows. docs/formats.md
describes the columns. As a library::

    signatures = Signer(Minhash()).sign(table["text"])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from xxhash import xxh3_128_digest

from tagarela_dagster.corpus.dedup.chunks import ChunkTable
from tagarela_dagster.corpus.dedup.normalize import normalize_texts
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, text_buffers
from tagarela_dagster.corpus.kernels.minhash import PRIME, hash_bands, sign_texts
from tagarela_dagster.recipe.dedup import Minhash

GROUP_BYTES = 4 << 20
"""Text signed at a time, unless one document alone is larger: bounds the memory, which is some
five times that."""


@dataclass(frozen=True)
class Signatures:
    """Signatures of a column of texts.

    Attributes:
        exact: (documents, 16) bytes of the XXH3-128 of each text.
        normalized: (documents, 16) bytes of the XXH3-128 of its words joined by a space.
        words: (documents,) number of words.
        signed: (documents,) bool: has at least ``n_grams`` words, so it has a MinHash.
        bands: (documents, bands) hash of each band; 0 where not ``signed``.
        bytes: (documents,) UTF-8 bytes of the text.
        by_python: texts whose normalisation had to go through datatrove's own function.
    """

    exact: Bytes
    normalized: Bytes
    words: NDArray[np.int64]
    signed: NDArray[np.bool_]
    bands: NDArray[np.uint64]
    bytes: NDArray[np.int64]
    by_python: int


class Signer:
    """Sign columns of texts by one section of the recipe."""

    def __init__(self, section: Minhash) -> None:
        self.section = section
        self.a, self.b = parameters(section)
        self._table = ChunkTable()

    def sign(self, texts: pa.Array | pa.ChunkedArray | Sequence[str]) -> Signatures:
        """Signatures of ``texts``, each independent of the others; a null is an empty text."""
        if not isinstance(texts, pa.Array | pa.ChunkedArray):
            texts = pa.array(texts, pa.large_string())
        data, offsets = text_buffers(texts)
        rows, section = len(offsets) - 1, self.section
        words = np.zeros(rows, np.int64)
        bands = np.zeros((rows, section.bands), np.uint64)
        normalized = np.zeros((rows, 16), np.uint8)
        by_python = 0
        for start, end in groups(offsets):
            joined, ends, slow = self.words(data, offsets[start : end + 1])
            least = np.empty((end - start, len(self.a)), np.uint64)
            some = words[start:end]
            sign_texts(joined, ends, section.n_grams, self.a, self.b, some, least)
            hash_bands(least, section.rows, bands[start:end])
            normalized[start:end] = hash_texts(joined, ends)
            by_python += slow
        signed = words >= section.n_grams
        bands[~signed] = 0
        exact, sizes = hash_texts(data, offsets), np.diff(offsets)
        return Signatures(exact, normalized, words, signed, bands, sizes, by_python)

    def words(self, data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets, int]:
        """Words of the normalised texts, a space between, as bytes and (rows + 1,) offsets.

        The third value is how many texts had to go through datatrove's own function.
        """
        chunks = normalize_texts(data, offsets)
        return *self._table.words(chunks), chunks.by_python

    def minhash(self, texts: Sequence[str]) -> NDArray[np.uint64]:
        """(texts, bands * rows) least value of every hash function; PRIME without shingles."""
        joined, ends, _ = self.words(*text_buffers(pa.array(texts, pa.large_string())))
        least = np.full((len(texts), len(self.a)), PRIME, np.uint64)
        words = np.zeros(len(texts), np.int64)
        sign_texts(joined, ends, self.section.n_grams, self.a, self.b, words, least)
        return least

    def hash_bands(self, least: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """XXH64 of each band's values, 8 bytes each, little-endian: (documents, bands)."""
        bands = np.empty((len(least), self.section.bands), np.uint64)
        hash_bands(np.ascontiguousarray(least), self.section.rows, bands)
        return bands


def groups(offsets: Offsets) -> Iterator[tuple[int, int]]:
    """Runs of rows of up to GROUP_BYTES of text, or of one row."""
    start, rows = 0, len(offsets) - 1
    while start < rows:
        limit = offsets[start] + GROUP_BYTES
        end = max(int(np.searchsorted(offsets, limit, side="right")) - 1, start + 1)
        yield start, end
        start = end


def hash_texts(data: Bytes, offsets: Offsets) -> Bytes:
    """(rows, 16) XXH3-128 (seed 0, big-endian) of each text."""
    view, ends = data.data, offsets.tolist()
    digests = [xxh3_128_digest(view[start:end]) for start, end in zip(ends, ends[1:], strict=False)]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)


def parameters(section: Minhash) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """``a`` and ``b`` of every hash function, (bands * rows,) each, as datatrove draws them."""
    generator = np.random.RandomState(section.seed)
    size = section.bands * section.rows
    a = generator.randint(1, int(PRIME), dtype=np.uint64, size=size)
    b = generator.randint(0, int(PRIME), dtype=np.uint64, size=size)
    return a, b
