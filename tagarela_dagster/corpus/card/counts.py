"""Counts over the metadata columns of clean shards: one streaming pass, no text read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

COLUMNS = ("url", "date", "license", "variety", "language")
HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)"
"""The host of a URL (RFC 3986, section 3.2)."""
MAX_HOSTS = 500_000
"""Hosts counted at once; of more, the rarest are forgotten and the counts are lower bounds."""


@dataclass
class Counts:
    """Documents by what their metadata say; an empty name stands for a document without it."""

    documents: int = 0
    licenses: Counter[str] = field(default_factory=Counter)
    varieties: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    years: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    hosts_forgotten: bool = False

    def add(self, frame: pl.DataFrame) -> None:
        """Count the rows of a frame with COLUMNS."""
        self.documents += frame.height
        by = {
            "licenses": pl.col("license"),
            "varieties": pl.col("variety"),
            "languages": pl.col("language"),
            "years": pl.col("date").dt.year().cast(pl.String),
            "hosts": pl.col("url").str.extract(HOST).str.to_lowercase(),
        }
        for name, expression in by.items():
            found = frame.select(expression.fill_null("").alias("name"))
            for value, count in found.group_by("name").len().sort("name").iter_rows():
                getattr(self, name)[value] += count
        if len(self.hosts) > MAX_HOSTS:
            kept = sorted(self.hosts.items(), key=lambda item: (-item[1], item[0]))
            self.hosts = Counter(dict(kept[: MAX_HOSTS // 2]))
            self.hosts_forgotten = True

    def merge(self, other: Counts) -> None:
        """Add the counts of other shards."""
        self.documents += other.documents
        for name in ("licenses", "varieties", "languages", "years", "hosts"):
            getattr(self, name).update(getattr(other, name))
        self.hosts_forgotten |= other.hosts_forgotten


def count_shards(shards: Iterable[Path]) -> Counts:
    """Counts of shards of documents; memory by distinct values."""
    counts = Counts()
    for path in shards:
        counts.add(pl.read_parquet(path, columns=list(COLUMNS)))
    return counts


def ranked(counter: Counter[str], most: int | None = None) -> tuple[tuple[str, int], ...]:
    """Names and counts, the most frequent first, equal ones by name."""
    return tuple(sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:most])
