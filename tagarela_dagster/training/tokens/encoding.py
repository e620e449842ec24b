"""Encode documents at the pace of the tokenizer itself, in bounded memory.

``tokenizers`` needs some hundred bytes of memory a token while it encodes, so a slice holds a few
megabytes of text, and documents are cut into pieces: that spreads a long one over the threads,
and short pieces stay in the processor's caches (benchmarks/tokens.py). A cut is made only where
the tokenizer's own splitting pattern always splits, so the tokens are those of the whole document.
While one slice is encoded (without the interpreter's lock) the ids of the slice before are taken
over and written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tokenizers import Encoding
from tokenizers import Tokenizer as Encoder

from tagarela_dagster.training.tokens.tokenizer import splits_by_our_pattern

PIECE_CHARACTERS = 2_000
"""Longer documents are cut into pieces of at least this size: the fastest of 500 to 50,000."""
SLICE_BYTES = 4_000_000

_CUT = re.compile(r"(?<=\n)(?=\S)|(?<=[A-Za-zÀ-ÖØ-öø-ÿ0-9])(?= )")
"""After a line break that a visible character follows, or before a space that follows a letter or
a digit. In ``tokenizer.SPLIT`` no alternative goes on over either place, and none looks back."""


@dataclass(frozen=True)
class Encoded:
    """Documents and their tokens.

    Attributes:
        documents: rows as given.
        ids: tokens of all documents in order, each followed by its end token.
        lengths: (rows,) int64 tokens of each document, the end token included.
    """

    documents: pa.RecordBatch
    ids: NDArray
    lengths: NDArray[np.int64]


def token_dtype(vocabulary: int) -> np.dtype:
    """Smallest little-endian unsigned type that holds every id: uint16 or uint32."""
    return np.dtype("<u2") if vocabulary <= 1 << 16 else np.dtype("<u4")


def encode_documents(
    encoder: Encoder, batches: Iterable[pa.RecordBatch], eos: int
) -> Iterator[Encoded]:
    """Encode the ``text`` of documents, without any special token but ``eos`` at their end.

    A tokenizer that doesn't split as this project's own does is given whole documents.
    """
    cuttable = splits_by_our_pattern(encoder)
    dtype = token_dtype(encoder.get_vocab_size())
    slices = iter(slice_ for batch in batches for slice_ in _slices(batch))

    def encode_next() -> tuple[pa.RecordBatch, list[int], Iterable[Encoding | NDArray]] | None:
        documents = next(slices, None)
        if documents is None:
            return None
        texts = documents.column("text").to_pylist()
        pieces = [cut(text) for text in texts] if cuttable else [[text] for text in texts]
        flat = list(chain.from_iterable(pieces))
        encoded: list[Encoding | NDArray] = []
        # A long document is a slice of its own: only its ids are kept of each part of it.
        for part in _groups(flat):
            encoded = [_ids(each, dtype) for each in encoded]
            encoded += encoder.encode_batch_fast(part, add_special_tokens=False)
        return documents, [len(found) for found in pieces], encoded

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(encode_next)
        while (found := coming.result()) is not None:
            coming = ahead.submit(encode_next)
            yield _joined(*found, eos, dtype)


def cut(text: str, characters: int = PIECE_CHARACTERS) -> list[str]:
    """Pieces of ``text`` that are tokenized alone as they are within it.

    A text without a usable place stays whole, whatever its length.
    """
    pieces = []
    start = 0
    while len(text) - start > characters:
        found = _CUT.search(text, start + characters)
        if found is None:
            break
        pieces.append(text[start : found.start()])
        start = found.start()
    pieces.append(text[start:])
    return pieces


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Runs of rows with about SLICE_BYTES of text; a longer document is a slice of its own."""
    sizes = pc.binary_length(batch.column("text")).to_numpy()
    numbers = np.cumsum(sizes, dtype=np.int64) // SLICE_BYTES
    firsts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), batch.num_rows]
    for first, last in zip(firsts, firsts[1:], strict=False):
        if last > first:
            yield batch.slice(first, last - first)


def _groups(pieces: list[str]) -> Iterator[list[str]]:
    """Runs of pieces with about twice SLICE_BYTES: one for all but long documents."""
    numbers = np.cumsum([len(piece) for piece in pieces]) // (2 * SLICE_BYTES)
    firsts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(pieces)]
    for first, last in zip(firsts, firsts[1:], strict=False):
        yield pieces[first:last]


def _ids(encoded: Encoding | NDArray, dtype: np.dtype) -> NDArray:
    return encoded if isinstance(encoded, np.ndarray) else np.array(encoded.ids, dtype)


def _joined(
    documents: pa.RecordBatch,
    pieces: list[int],
    encoded: Iterable[Encoding | NDArray],
    eos: int,
    dtype: np.dtype,
) -> Encoded:
    parts = iter(encoded)
    lengths = np.empty(len(pieces), np.int64)
    arrays = []
    end = np.array([eos], dtype)
    for row, count in enumerate(pieces):
        mine = [_ids(next(parts), dtype) for _ in range(count)]
        lengths[row] = sum(map(len, mine)) + 1
        arrays += [*mine, end]
    return Encoded(documents, np.concatenate(arrays), lengths)
