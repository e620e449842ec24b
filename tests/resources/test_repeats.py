"""Repeats on the road: what a template repeats is not in the clean text, and is accounted for."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from tagarela_dagster.corpus.ledger import Ledger
from tests.corpus.whole_road import build
from tests.resources.two_sources import PARAGRAPHS, open_road, write_snapshot

MORE = """\
corpus:
  dedup:
    repeats:
      lines: {enabled: true, max_documents: 2}
      substrings: {enabled: true, min_words: 30}
"""
FOOTER = "Assine já a nossa newsletter e receba as notícias da região todas as manhãs."
QUOTE = PARAGRAPHS[0]
LONG = " ".join(PARAGRAPHS[7:10])


def clean_texts(folder: Path, key: str) -> list[str]:
    shards = open_road(folder, MORE).kept_shards("clean", key)
    return [text for path in shards for text in pq.read_table(path)["text"].to_pylist()]


def test_repeats_are_cut_once_and_a_new_snapshot_leaves_the_old_text(tmp_path: Path) -> None:
    signed = [f"{text}\n{FOOTER}" for text in PARAGRAPHS[:3]]
    write_snapshot(tmp_path, "jornal@2026-01", signed)
    write_snapshot(tmp_path, "diario@2026-01", [f"{LONG} {QUOTE}", PARAGRAPHS[4]])
    build(open_road(tmp_path, MORE))
    texts = clean_texts(tmp_path, "jornal@2026-01")
    assert sum(FOOTER in text for text in texts) == 1
    assert clean_texts(tmp_path, "diario@2026-01") == [LONG, PARAGRAPHS[4]]
    manifest = open_road(tmp_path, MORE).lake.require("clean", "diario@2026-01")
    ledger = Ledger.from_json(manifest.counts["ledger"])
    assert ledger.edits == {"repeats": len(f" {QUOTE}".encode())}
    ledger.check()

    write_snapshot(tmp_path, "jornal@2026-02", [f"{PARAGRAPHS[5]}\n{FOOTER}"])
    made = build(open_road(tmp_path, MORE))
    assert "repeats" in made
    assert [name for name in made if name.startswith("clean")] == ["clean[jornal@2026-02]"]
    assert clean_texts(tmp_path, "jornal@2026-02") == [PARAGRAPHS[5]]


def test_other_repeats_rewrite_clean_text_alone(tmp_path: Path) -> None:
    write_snapshot(tmp_path, "diario@2026-01", [f"{text}\n{FOOTER}" for text in PARAGRAPHS[:3]])
    write_snapshot(tmp_path, "jornal@2026-01", PARAGRAPHS[5:7])
    build(open_road(tmp_path, MORE))
    fewer = MORE.replace("max_documents: 2", "max_documents: 3")
    assert build(open_road(tmp_path, fewer)) == ["repeats", "clean[diario@2026-01]"]
    # Nothing was cut before either, but clean no longer depends on it.
    assert build(open_road(tmp_path)) == ["clean[diario@2026-01]", "clean[jornal@2026-01]"]
