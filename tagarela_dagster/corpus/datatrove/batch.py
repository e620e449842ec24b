"""datatrove's documents as Arrow columns, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from datatrove.data import Document

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA
from tagarela_dagster.corpus.filtering.work import Step, Work


def sound_text(text: str) -> str:
    """The text as UTF-8 can hold it: a lone surrogate, as JSON may smuggle in, becomes ``?``."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def record_batch(documents: Sequence[Document], license_key: str | None = None) -> pa.RecordBatch:
    """Documents as DOCUMENT_SCHEMA, with their ``source`` and, by its key, licence."""
    rows = [_row(document, license_key) for document in documents]
    return pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)


def edited_texts(documents: Sequence[Document], steps: Sequence[Step]) -> list[str]:
    """The texts after measuring steps that edit them."""
    work = Work(record_batch(documents))
    for step in steps:
        step(work)
    texts: list[str] = work.texts.to_pylist()
    return texts


def _row(document: Document, license_key: str | None) -> dict[str, Any]:
    return {
        "id": sound_text(document.id),
        "text": sound_text(document.text),
        "source": str(document.metadata.get("source", "")),
        "snapshot": "",
        "license": document.metadata.get(license_key) if license_key else None,
        "meta": "{}",
    }
