from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.held_out import is_held_out
from tagarela_dagster.corpus.shards import ShardWriter
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.tokens.token_shards import (
    fertility,
    merge_counts,
    read_fertility,
    tokenize_partition,
)
from tagarela_dagster.training.tokens.tokenizer import (
    EOS,
    open_tokenizer,
    train_on_partitions,
    train_tokenizer,
)
from tagarela_dagster.training.tokens.tokenizer_text import TrainingText, spread
from tests.training.token_lake import folder_of

TEXTS = [
    f"O eléctrico número {n} subiu a calçada devagar, e a senhora disse-lhe que não tinha pressa."
    for n in range(40)
]
SHARE, SEED = 0.25, 11


def write_documents(folder: Path, shards: list[list[str]], source: str = "bairro") -> list[Path]:
    paths = []
    for rank, texts in enumerate(shards):
        rows = [
            Document(
                native_id=f"{rank}/{row}", text=text, variety="pt-PT" if row % 2 else None
            ).row(source, "2024")
            for row, text in enumerate(texts)
        ]
        with ShardWriter(folder, f"{source}-{rank:05d}", DOCUMENT_SCHEMA) as writer:
            writer.write(pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA))
        paths.append(folder / f"{source}-{rank:05d}.parquet")
    return paths


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXTS, Tokenizer(vocabulary=400), out)
    return out


def tokenize(lake: Lake, shards: list[Path], tokenizer: Path, workers: int = 1) -> Manifest:
    with lake.write("tokens", "bairro@2024", code_version="1", section={}, inputs={}) as writer:
        inputs = [ShardInput(path.stem, (path,), (hash_file(path),)) for path in shards]
        return tokenize_partition(
            writer, inputs, tokenizer, held_out_share=SHARE, seed=SEED, workers=workers
        )


def test_documents_come_back_from_their_tokens(tmp_path: Path, tokenizer: Path) -> None:
    texts = [*TEXTS[:15], f"escreveu {EOS} à mão", "acento decomposto e\u0301, emoji 😀\n\n"]
    shards = write_documents(tmp_path / "in", [texts[:9], texts[9:]])
    manifest = tokenize(Lake(tmp_path), shards, tokenizer)
    folder, encoder = folder_of(Lake(tmp_path), manifest), open_tokenizer(tokenizer)
    for path in shards:
        table = pq.read_table(path)
        held = np.asarray(is_held_out(table.column("id").combine_chunks(), SHARE, SEED))
        expected = {
            row["id"]: row["text"]
            for row, out in zip(table.to_pylist(), held, strict=True)
            if not out
        }
        stored = np.fromfile(folder / f"tokens/{path.stem}.tokens", dtype="<u2")
        index = pq.read_table(folder / f"documents/{path.stem}.parquet").to_pylist()
        assert [row["id"] for row in index] == list(expected)
        at = 0
        for row in index:
            assert row["start"] == at
            at += row["length"]
            assert stored[at - 1] == 0
            ids = stored[row["start"] : at - 1].tolist()
            assert 0 not in ids
            assert encoder.decode(ids, skip_special_tokens=False) == expected[row["id"]]
        assert at == len(stored)


def test_held_out_documents_are_left_out_and_booked(tmp_path: Path, tokenizer: Path) -> None:
    shards = write_documents(tmp_path / "in", [TEXTS[:25], TEXTS[25:]])
    ids = pa.concat_tables(pq.read_table(p, columns=["id"]) for p in shards).column("id")
    held = int(np.asarray(is_held_out(ids.combine_chunks(), SHARE, SEED)).sum())
    ledger = tokenize(Lake(tmp_path), shards, tokenizer).counts["ledger"]
    assert 0 < held < 40
    assert ledger["documents_in"] == 40
    assert ledger["documents_kept"] == 40 - held
    assert ledger["dropped"] == {"held_out": held}
    assert ledger["bytes_in"] == sum(len(t.encode()) for t in TEXTS)
    assert ledger["bytes_in"] == ledger["bytes_kept"] + ledger["dropped_bytes"]["held_out"]


def test_counts_by_variety_add_up_to_what_is_stored(tmp_path: Path, tokenizer: Path) -> None:
    shards = write_documents(tmp_path / "in", [TEXTS])
    manifest = tokenize(Lake(tmp_path), shards, tokenizer)
    cells = read_fertility([manifest])["bairro"]
    assert sorted(cells) == ["pt-PT", "unknown"]
    stored = sum(s.rows for s in manifest.select("tokens/"))
    assert sum(cell["tokens"] for cell in cells.values()) == stored == manifest.counts["tokens"]
    kept = manifest.counts["ledger"]
    assert sum(cell["bytes"] for cell in cells.values()) == kept["bytes_kept"]
    for cell in cells.values():
        assert cell["words"] == 16 * cell["documents"]
        assert fertility(cell) == (cell["tokens"] - cell["documents"]) / cell["words"]
    for row in manifest.counts["fertility"]:
        assert row["tokens_per_word"] == fertility(cells[row["variety"]])
    assert manifest.counts["tokenizer"]["dtype"] == "uint16"
    assert manifest.counts["tokenizer"]["eos"] == 0


def test_any_number_of_workers_gives_the_same_manifest(tmp_path: Path, tokenizer: Path) -> None:
    shards = write_documents(tmp_path / "in", [TEXTS[:10], TEXTS[10:30], TEXTS[30:]])
    one = tokenize(Lake(tmp_path / "one"), shards, tokenizer)
    two = tokenize(Lake(tmp_path / "two"), shards, tokenizer, workers=2)
    assert one.hash == two.hash


def test_a_partition_without_documents_has_no_tokens(tmp_path: Path, tokenizer: Path) -> None:
    manifest = tokenize(Lake(tmp_path), [], tokenizer)
    assert (manifest.counts["documents"], manifest.counts["tokens"]) == (0, 0)


def test_counts_of_shards_are_summed_by_source_and_variety() -> None:
    cell = {"documents": 1, "tokens": 5, "words": 2, "characters": 9, "bytes": 10}
    merged = merge_counts([{"a": {"pt-PT": cell}}, {"a": {"pt-PT": cell, "pt-BR": cell}}])
    assert json.loads(json.dumps(merged)) == {
        "a": {"pt-BR": cell, "pt-PT": {name: 2 * value for name, value in cell.items()}}
    }
    assert fertility(cell) == 2.0
    assert fertility(cell | {"words": 0}) is None


def test_the_budget_is_spread_by_the_root_of_the_size_and_small_sources_are_taken_whole() -> None:
    assert spread({"a": 900, "b": 100}, 200) == {"a": 150, "b": 50}
    assert spread({"a": 10_000, "b": 10, "c": 0}, 1010) == {"a": 1000, "b": 10, "c": 0}
    assert spread({"a": 5, "b": 7}, 100) == {"a": 5, "b": 7}


def test_training_text_leaves_held_out_documents_out(tmp_path: Path) -> None:
    shards = write_documents(tmp_path, [TEXTS])
    text = TrainingText({"bairro": shards}, 10**9, held_out_share=SHARE, seed=SEED)
    table = pq.read_table(shards[0])
    held = np.asarray(is_held_out(table.column("id").combine_chunks(), SHARE, SEED))
    rows = zip(table.column("text").to_pylist(), held, strict=True)
    assert list(text) == [t for t, out in rows if not out] == list(text)


def test_training_text_keeps_the_budget_of_each_source(tmp_path: Path) -> None:
    sources = {
        "a": write_documents(tmp_path / "a", [TEXTS * 5, TEXTS * 4], "a"),
        "b": write_documents(tmp_path / "b", [TEXTS], "b"),
    }
    text = TrainingText(sources, 8_000, held_out_share=SHARE, seed=SEED)
    chosen = list(text)
    assert sum(len(t.encode()) for t in chosen) <= 8_000
    sizes = {s: sum(1 for p, _ in text.labelled() if p == s) for s in sources}
    assert sizes["a"] > sizes["b"] > 5


def test_a_tokenizer_is_published_from_the_clean_partitions(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    shards = {
        "a@1": write_documents(tmp_path / "a1", [TEXTS[:20]], "a"),
        "a@2": write_documents(tmp_path / "a2", [TEXTS[20:]], "a"),
    }
    with lake.write("tokenizer", code_version="1", section={}, inputs={}) as writer:
        manifest = train_on_partitions(
            writer, shards, Tokenizer(vocabulary=400), held_out_share=SHARE, seed=SEED
        )
    assert 0 < manifest.counts["training_documents"] < 40
    assert (
        manifest.counts["vocabulary"] == open_tokenizer(folder_of(lake, manifest)).get_vocab_size()
    )
