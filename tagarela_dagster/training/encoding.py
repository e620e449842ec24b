"""Encode documents in batches of bounded memory.

``tokenizers`` needs some hundred bytes of memory a token while it encodes, so a batch holds a few
megabytes of text and a longer document is cut. The cut is made where the tokenizer's own
splitting pattern always splits (after a line break that is followed by a visible character), so
the tokens are those of the whole document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from tokenizers import Tokenizer as Encoder

PIECE_CHARACTERS = 1_000_000
"""Longer documents are cut into pieces of at least this size."""
BATCH_CHARACTERS = 4_000_000

_CUT = re.compile(r"(?<=\n)(?=\S)")


def token_dtype(vocabulary: int) -> np.dtype:
    """Smallest little-endian unsigned type that holds every id: uint16 or uint32."""
    return np.dtype("<u2") if vocabulary <= 1 << 16 else np.dtype("<u4")


def encode(encoder: Encoder, texts: Sequence[str]) -> Iterator[np.ndarray]:
    """Ids (tokens,) int64 of each text, in order, without any special token added."""
    batch: list[list[str]] = []
    size = 0
    for text in texts:
        batch.append(cut(text))
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield from _encode(encoder, batch)
            batch, size = [], 0
    yield from _encode(encoder, batch)


def cut(text: str, characters: int = PIECE_CHARACTERS) -> list[str]:
    """Pieces of ``text`` that are tokenized alone as they are within it.

    A text without a usable line break stays whole, whatever its length.
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


def _encode(encoder: Encoder, batch: list[list[str]]) -> Iterator[np.ndarray]:
    flat = [piece for pieces in batch for piece in pieces]
    size = sum(map(len, flat))
    if size <= 2 * BATCH_CHARACTERS:
        encoded = encoder.encode_batch_fast(flat, add_special_tokens=False)
        arrays = iter([np.array(e.ids, dtype=np.int64) for e in encoded])
    else:
        arrays = (
            np.array(encoder.encode(piece, add_special_tokens=False).ids, dtype=np.int64)
            for piece in flat
        )
    for pieces in batch:
        parts = [next(arrays) for _ in pieces]
        yield parts[0] if len(parts) == 1 else np.concatenate(parts)
