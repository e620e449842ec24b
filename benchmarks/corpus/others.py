"""Rows that other benchmarks of this folder measure: tokens, models, contamination, pages."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import decontamination, extraction, models, tokens
from benchmarks.benchmark_sets import benchmark_items
from benchmarks.corpus.texts import spread
from benchmarks.crawl import mixed, real_pages, write_warc
from benchmarks.filters import real_documents
from benchmarks.rows import Row
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer


def rows(quick: bool) -> Iterator[Row]:
    """Rows of this family."""
    data = Path(os.environ["TAGARELA_MIRROR"])
    yield from token_rows(data, quick)
    yield from contamination_rows(data, quick)
    yield from model_rows(quick)
    yield from page_rows(data, quick)


def token_rows(data: Path, quick: bool) -> Iterator[Row]:
    """The stage ``tokens`` against the bare batch encoder, ids compared."""
    texts = real_documents(data, 3 if quick else 12)
    with tempfile.TemporaryDirectory() as name:
        train_tokenizer(texts, Tokenizer(vocabulary=tokens.VOCABULARY), Path(name))
        for row in tokens.compare(texts, Path(name), rounds=1 if quick else 3):
            yield _row(row, target=0.9, note="median of rounds")


def contamination_rows(data: Path, quick: bool) -> Iterator[Row]:
    """Search of benchmark items against datatrove's n-gram filter, answers compared."""
    items = list(benchmark_items(data / "benchmarks"))
    texts = real_documents(data, 1 if quick else 4)
    found = decontamination.compare(items, decontamination.plant(texts, items))
    speeds = found["megabytes_per_second"]
    yield Row(
        "decontamination",
        speeds["ours"],
        "MB/s",
        "datatrove 0.10.1",
        speeds["datatrove"],
        found["ratio"],
        found["agreement_with_datatrove"],
        note=f"CPU; {found['items']} items; ours also says which item, and where",
        details={
            "documents": found["documents"],
            "one mismatch": speeds["one mismatch"],
            "agreement_with_plain_sets": found["agreement_with_plain_sets"],
        },
    )


def model_rows(quick: bool) -> Iterator[Row]:
    """The variety classifier's kernel, and perplexity."""
    texts = spread(2 if quick else 8)
    size = sum(len(text.encode()) for text in texts) / 1e6
    for row in models.linear_rates(texts, size):
        yield _row(row, note="CPU; whole texts")
    for row in models.perplexity_rates(texts, size, os.environ.get("TAGARELA_LMPLZ")):
        if str(row["peer"]).startswith("none"):
            row["peer"] = None
        yield _row(row, note="CPU")


def page_rows(data: Path, quick: bool) -> Iterator[Row]:
    """The road of a web page against plain trafilatura."""
    pages = list(real_pages(data))
    gold = list(extraction.gold_pages(pages))
    crawl = mixed(data, 40 if quick else 300, include=[page for page, _ in gold])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crawl.warc.gz"
        write_warc(path, crawl)
        found = extraction.compare(crawl, gold, path)
    yield Row(
        "extraction",
        found["pages_per_second"],
        "pages/s",
        "trafilatura",
        found["plain_pages_per_second"],
        found["ratio"],
        found["f1_against_trafilatura"],
        target=5,
        note="processor time; agreement: token F1 against trafilatura's text",
        details={
            key: found[key]
            for key in (
                "pages",
                "portuguese_share",
                "portuguese_kept_by_the_full_road",
                "portuguese_lost",
                "f1_against_gold",
                "plain_f1_against_gold",
            )
        },
    )


def _row(row: dict[str, Any], **more: Any) -> Row:
    names = ("name", "value", "unit", "peer", "peer_value", "ratio", "agreement")
    unit = row["unit"].partition(" of ")[0]
    return Row(**{**{name: row.get(name) for name in names}, "unit": unit}, **more)
