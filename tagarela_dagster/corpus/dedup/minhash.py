"""MinHash signatures equal to datatrove's, and exact hashes, computed for a batch at once.

datatrove (src/datatrove/pipeline/dedup/minhash.py) hashes the word n-grams of the normalised text
with XXH64 and takes, for each of ``bands * rows`` functions ``(a*x + b) mod (2**61 - 1)`` in
wrapping 64-bit arithmetic, the least value. The same numbers come out here, tested against it;
what is kept is the XXH64 of each band's rows. docs/formats.md describes the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128_digest, xxh64_intdigest

from tagarela_dagster.corpus.dedup.normalize import normalize
from tagarela_dagster.corpus.filtering.words import MAX_CHUNKS, Lexicon
from tagarela_dagster.recipe.dedup import Minhash

BLOCK = 8_192
"""Shingles hashed at a time: 64 KiB, so that the block stays in the processor's cache."""

_PRIME = np.uint64((1 << 61) - 1)
_SHIFT = np.uint64(61)


@dataclass(frozen=True)
class Signatures:
    """Signatures of a batch of documents.

    Attributes:
        exact: XXH3-128 of each document's text, 16 bytes.
        words: (documents,) number of words.
        signed: (documents,) bool: has at least ``n_grams`` words, so it has a MinHash.
        bands: (documents, bands) hash of each band; 0 where not ``signed``.
    """

    exact: list[bytes]
    words: NDArray[np.int32]
    signed: NDArray[np.bool_]
    bands: NDArray[np.uint64]


class Signer:
    """Sign batches of texts by one section of the recipe."""

    def __init__(self, section: Minhash) -> None:
        self.section = section
        self.a, self.b = parameters(section)
        self._words = _Words()

    def sign(self, texts: Sequence[str]) -> Signatures:
        """Signatures of ``texts``, each independent of the others."""
        exact = [xxh3_128_digest(text) for text in texts]
        words = np.zeros(len(texts), np.int32)
        shingles = []
        for index, text in enumerate(texts):
            joined = self.words(text)
            words[index] = joined.count(b" ") + 1 if joined else 0
            shingles.append(hash_shingles(joined, self.section.n_grams))
        sizes = np.array([len(hashes) for hashes in shingles], np.int64)
        least = self.minhash(np.concatenate([*shingles, np.empty(0, np.uint64)]), sizes)
        return Signatures(exact, words, sizes > 0, self.hash_bands(least))

    def words(self, text: str) -> bytes:
        """Words of the normalised text, joined by a space."""
        return self._words.join(normalize(text)).encode()

    def minhash(self, shingles: NDArray[np.uint64], sizes: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Least value of every hash function over each document's shingles.

        Args:
            shingles: XXH64 of the n-grams of all documents, one document after the other.
            sizes: (documents,) how many are each document's.

        Returns:
            (documents, bands * rows); the row of a document without shingles is meaningless.
        """
        least = np.full((len(self.a), len(sizes)), _PRIME, np.uint64)
        ends = np.cumsum(sizes)
        for start in range(0, len(shingles), BLOCK):
            block = shingles[start : start + BLOCK]
            first = np.searchsorted(ends, start, side="right")
            last = np.searchsorted(ends, start + len(block), side="left") + 1
            inside = np.flatnonzero(sizes[first:last]) + first
            starts = np.maximum(ends[inside] - sizes[inside] - start, 0)
            self._merge(least, inside, block, starts)
        return np.ascontiguousarray(least.T)

    def _merge(
        self,
        least: NDArray[np.uint64],
        documents: NDArray[np.int64],
        block: NDArray[np.uint64],
        starts: NDArray[np.int64],
    ) -> None:
        """Lower ``least[:, documents]`` to the block's values."""
        value, over = np.empty_like(block), np.empty_like(block)
        for row, (a, b) in enumerate(zip(self.a, self.b, strict=True)):
            np.multiply(block, a, out=value)
            np.add(value, b, out=value)
            # 2**61 = 1 modulo the prime; what remains is at most 7 above it.
            np.right_shift(value, _SHIFT, out=over)
            np.bitwise_and(value, _PRIME, out=value)
            np.add(value, over, out=value)
            np.subtract(value, _PRIME, out=over)  # huge where value < prime
            np.minimum(value, over, out=value)
            found = np.minimum.reduceat(value, starts)
            least[row, documents] = np.minimum(least[row, documents], found)

    def hash_bands(self, least: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """XXH64 of each band's values, 8 bytes each, little-endian: (documents, bands)."""
        width = self.section.rows * 8
        data = memoryview(least.astype("<u8").tobytes())
        starts = range(0, len(data), width)
        hashes = (xxh64_intdigest(data[start : start + width]) for start in starts)
        return np.fromiter(hashes, np.uint64, len(starts)).reshape(-1, self.section.bands)


class _Words(dict[str, str]):
    """Whitespace-delimited chunk -> its words (as spaCy gives them) joined by a space."""

    def __init__(self) -> None:
        super().__init__()
        self._lexicon = Lexicon()

    def join(self, text: str) -> str:
        """The words of ``text`` joined by a space."""
        joined = " ".join(map(self.__getitem__, text.split()))
        if len(self) > MAX_CHUNKS:
            self.clear()
            self._lexicon.trim()
        # A chunk without any word leaves two spaces.
        return " ".join(joined.split()) if "  " in joined else joined.strip()

    def __missing__(self, chunk: str) -> str:
        words = self._lexicon.words
        numbers = self._lexicon[chunk]
        joined = self[chunk] = " ".join([words[number] for number in numbers])
        return joined


def parameters(section: Minhash) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """``a`` and ``b`` of every hash function, (bands * rows,) each, as datatrove draws them."""
    generator = np.random.RandomState(section.seed)
    size = section.bands * section.rows
    a = generator.randint(1, int(_PRIME), dtype=np.uint64, size=size)
    b = generator.randint(0, int(_PRIME), dtype=np.uint64, size=size)
    return a, b


def hash_shingles(joined: bytes, n_grams: int) -> NDArray[np.uint64]:
    """XXH64 of every run of ``n_grams`` words of ``joined`` (words with a space between)."""
    if not joined:
        return np.empty(0, np.uint64)
    spaces = np.flatnonzero(np.frombuffer(joined, np.uint8) == 0x20)
    count = len(spaces) + 2 - n_grams
    if count <= 0:
        return np.empty(0, np.uint64)
    starts = np.concatenate([[0], spaces + 1])[:count].tolist()
    ends = np.concatenate([spaces, [len(joined)]])[n_grams - 1 :].tolist()
    pieces = map(joined.__getitem__, map(slice, starts, ends))
    return np.fromiter(map(xxh64_intdigest, pieces), np.uint64, count)
