"""The text that all rows are measured on: the mirror's, or any amount made of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import pyarrow as pa

from benchmarks.text import documents, real_paragraphs
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document

BATCH_BYTES = 8_000_000
"""Text of a batch: a row group of a document shard."""


def first(megabytes: float, skip: int = 0) -> Iterator[str]:
    """Documents of ``benchmarks.text.documents``, copies included, up to so much text.

    Args:
        skip: documents to leave out first.
    """
    size = 0
    for text in itertools.islice(documents(), skip, None):
        if size >= megabytes * 1e6:
            return
        size += len(text.encode())
        yield text


def spread(megabytes: float) -> list[str]:
    """So much of the real text (at most all of it), taken evenly from all of its sources."""
    texts = _real()
    whole = sum(len(text.encode()) for text in texts) / 1e6
    return texts[:: max(1, round(whole / megabytes))]


@lru_cache(maxsize=1)
def _real() -> list[str]:
    return list(first(sum(len(p.encode()) for p in real_paragraphs()) / 1e6))


def columns(texts: list[str]) -> list[pa.Array]:
    """The texts as large_string columns of about BATCH_BYTES."""
    return [pa.array(rows, pa.large_string()) for rows in batches(texts)]


def batches(texts: list[str]) -> Iterator[list[str]]:
    """The texts in lists of about BATCH_BYTES."""
    rows: list[str] = []
    size = 0
    for text in texts:
        rows.append(text)
        size += len(text.encode())
        if size >= BATCH_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def record_batches(texts: list[str]) -> Iterator[pa.RecordBatch]:
    """The texts as documents numbered from 0, DOCUMENT_SCHEMA."""
    number = 0
    for part in batches(texts):
        rows = []
        for text in part:
            rows.append(Document(str(number), text, license="CC0-1.0").row("web", "1"))
            number += 1
        yield pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)


def megabytes(texts: list[str]) -> float:
    """UTF-8 size in 10^6 bytes."""
    return sum(len(text.encode()) for text in texts) / 1e6
