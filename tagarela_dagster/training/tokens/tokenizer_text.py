"""Which text the tokenizer is trained on: spread over sources, the same choice on every run.

Each source gets a part of the budget in proportion to the square root of its size (sampling with
exponent 0.5, as Lample and Conneau do for a shared vocabulary, arXiv 1901.07291, section 3.1), so
that a large crawl does not drown parliament and subtitles; what a small source cannot fill goes
to the others. Within a source a document is taken by a hash of its id, so the choice depends
neither on shard layout nor on order. Held-out documents are never taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import xxhash

from tagarela_dagster.corpus.held_out import is_held_out
from tagarela_dagster.corpus.shards import read_batches

HASH_SEED = 20_190_122
"""Keeps this choice independent of every other choice by id."""
HASH_RANGE = 1 << 64


class TrainingText:
    """Texts of the chosen documents; may be iterated more than once.

    Args:
        shards: source -> its clean document shards.
        max_bytes: UTF-8 bytes of text in all.
        held_out_share, seed: which documents are held out.
    """

    def __init__(
        self,
        shards: Mapping[str, Sequence[Path]],
        max_bytes: int,
        *,
        held_out_share: float,
        seed: int,
    ) -> None:
        self.shards = {source: sorted(paths) for source, paths in sorted(shards.items())}
        self.held_out_share = held_out_share
        self.seed = seed
        sizes = {s: sum(map(_text_bytes, paths)) for s, paths in self.shards.items()}
        self.sizes = sizes
        self.budgets = spread(sizes, max_bytes)

    def __iter__(self) -> Iterator[str]:
        for _, text in self.labelled():
            yield text

    def labelled(self) -> Iterator[tuple[str, str]]:
        """(source, text) of the chosen documents."""
        for source, paths in self.shards.items():
            size, left = self.sizes[source], self.budgets[source]
            limit = HASH_RANGE if left >= size else HASH_RANGE * left // size
            for identifier, text in (row for path in paths for row in self._documents(path)):
                if xxhash.xxh3_64_intdigest(identifier, HASH_SEED) >= limit:
                    continue
                left -= len(text.encode())
                # Hashes fit the budget on average only; the budget itself is a limit.
                if left < 0 and limit < HASH_RANGE:
                    break
                yield source, text

    def _documents(self, path: Path) -> Iterator[tuple[str, str]]:
        for batch in read_batches(path, ["id", "text"]):
            out = np.asarray(is_held_out(batch.column("id"), self.held_out_share, self.seed))
            rows = zip(
                batch.column("id").to_pylist(), batch.column("text").to_pylist(), out, strict=True
            )
            yield from ((identifier, text) for identifier, text, held in rows if not held)


def spread(sizes: Mapping[str, int], budget: int) -> dict[str, int]:
    """Bytes for each source: in proportion to the square root of its size, at most its size."""
    given = dict.fromkeys(sizes, 0)
    open_sources = {s for s, size in sizes.items() if size}
    left = budget
    while open_sources:
        roots = {s: math.sqrt(sizes[s]) for s in sorted(open_sources)}
        whole = sum(roots.values())
        full = {s for s in roots if left * roots[s] / whole >= sizes[s]}
        if not full:
            given.update({s: int(left * roots[s] / whole) for s in roots})
            break
        given.update({s: sizes[s] for s in full})
        left -= sum(sizes[s] for s in full)
        open_sources -= full
    return given


def _text_bytes(path: Path) -> int:
    """Bytes of the text column, from the shard's footer alone (within a few percent)."""
    footer = pq.read_metadata(path)
    column = footer.schema.names.index("text")
    groups = (footer.row_group(i) for i in range(footer.num_row_groups))
    return sum(group.column(column).total_uncompressed_size for group in groups)
