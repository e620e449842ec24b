from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.held_out import (
    HeldOutError,
    held_out_hash,
    is_held_out,
    publish_held_out,
    share_evenly,
)
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.evals import HeldOut


def write_documents(path: Path, source: str, numbers: range, snapshot: str = "2026") -> Path:
    rows = [
        Document(f"{n}", f"Capítulo {n} de {source} ({snapshot}).").row(source, snapshot)
        for n in numbers
    ]
    pq.write_table(pa.Table.from_pylist(rows, DOCUMENT_SCHEMA), path, row_group_size=50)
    return path


def publish(lake: Path, shards: list[Path], **section: float) -> tuple[list[dict], dict]:
    arguments = {"code_version": "c", "section": {}, "inputs": {}}
    with Lake(lake).write("held_out", **arguments) as writer:
        manifest = publish_held_out(writer, shards, HeldOut(**section), seed=1)
    (path,) = Lake(lake).paths(manifest)
    return pq.read_table(path).to_pylist(), manifest.counts


def test_the_hash_is_pinned() -> None:
    ids = ["oscar:00a1", "wikipedia:ffff", "câmara:é"]
    assert held_out_hash(ids, 1).tolist() == [
        7090234323157363415,
        11841276970035691848,
        6700988142002952236,
    ]


def test_the_share_is_kept_and_the_seed_changes_the_choice() -> None:
    ids = [f"livros:{i:020x}" for i in range(20_000)]
    first, second = is_held_out(ids, 0.02, 1), is_held_out(pa.array(ids), 0.02, 2)
    assert first.sum() == 399
    assert second.sum() == 398
    assert (first & second).sum() == 6
    assert not is_held_out(ids, 0.01, 1)[~first].any()


def test_an_id_is_held_out_wherever_it_stands() -> None:
    ids = [f"livros:{i}" for i in range(500)]
    whole = is_held_out(ids, 0.3, 5)
    one_by_one = np.concatenate([is_held_out([i], 0.3, 5) for i in ids])
    assert (whole == one_by_one).all()
    assert is_held_out([], 0.3, 5).tolist() == []


def test_sources_give_evenly_and_what_one_lacks_comes_from_the_others(tmp_path: Path) -> None:
    shards = [
        write_documents(tmp_path / "a.parquet", "blogues", range(400)),
        write_documents(tmp_path / "b.parquet", "livros", range(20)),
    ]
    rows, counts = publish(tmp_path / "lake", shards, share=0.5, max_documents=50)
    sources = [row["source"] for row in rows]
    held = {name: part["held_out"] for name, part in counts["sources"].items()}
    assert held == {"blogues": 202, "livros": 9}
    assert {name: sources.count(name) for name in held} == {"blogues": 41, "livros": 9}
    assert counts["documents"] == 50
    assert all(is_held_out([row["id"] for row in rows], 0.5, 1))
    hashes = held_out_hash([r["id"] for r in rows if r["source"] == "blogues"], 1)
    everything = held_out_hash(
        [Document(f"{n}", "").row("blogues", "")["id"] for n in range(400)], 1
    )
    assert sorted(hashes.tolist()) == sorted(everything.tolist())[:41]


def test_a_document_of_two_snapshots_is_scored_once(tmp_path: Path) -> None:
    shards = [
        write_documents(tmp_path / "a.parquet", "livros", range(40), "2025"),
        write_documents(tmp_path / "b.parquet", "livros", range(40), "2026"),
    ]
    rows, counts = publish(tmp_path / "lake", shards, share=0.5)
    assert len(rows) == counts["held_out"] == 15
    assert {row["snapshot"] for row in rows} == {"2025"}


def test_nothing_held_out_is_an_error_that_says_what_to_change(tmp_path: Path) -> None:
    shard = write_documents(tmp_path / "a.parquet", "livros", range(3))
    with pytest.raises(HeldOutError, match=r"evals\.held_out\.share is 0\.0001"):
        publish(tmp_path / "lake", [shard], share=0.0001)


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 30)), st.integers(0, 100))
def test_shares_never_exceed_what_there_is_and_use_all_they_can(
    available: dict[str, int], total: int
) -> None:
    parts = share_evenly(available, total)
    assert all(0 <= parts[name] <= available[name] for name in available)
    assert sum(parts.values()) == min(total, sum(available.values()))
    unfilled = [parts[name] for name in available if parts[name] < available[name]]
    assert not unfilled or max(parts.values()) - min(unfilled) <= 1
