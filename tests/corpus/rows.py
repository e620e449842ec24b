"""Rows and shards of documents for tests."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document

TEXTS = (
    "O comboio para o Porto parte às nove e meia da manhã.",
    "A padaria da esquina abre cedo, e o cheiro do pão chega à rua inteira.",
    "Choveu tanto que o rio subiu até ao muro do quintal.",
    "O ônibus atrasou, mas a professora esperou por todos na porta da escola.",
)


def batch(texts: tuple[str, ...] = TEXTS, source: str = "livros") -> pa.RecordBatch:
    """Documents with these texts."""
    rows = [Document(f"d{i}", text).row(source, "2026") for i, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)


def write_shard(path: Path, texts: tuple[str, ...] = TEXTS) -> Path:
    """A shard of documents with these texts, in row groups of two."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_batches([batch(texts)]), path, row_group_size=2)
    return path
