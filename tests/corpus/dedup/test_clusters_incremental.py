"""Clusters over generations of a corpus: the same bytes as from scratch, as brute force says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.dedup import scratch
from tagarela_dagster.corpus.dedup.clusters import cluster_partitions
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.dedup import Dedup
from tests.corpus.dedup.brute_force import expected_drops
from tests.corpus.dedup.signed import (
    MINHASH,
    SECTION,
    Corpus,
    Doc,
    cluster,
    cluster_arguments,
    write_signed,
)

FEW = st.integers(1, 6)
DATES = st.sampled_from([None, "1999-12-31", "2008-03-01", "2015-07-09"])
DOCUMENTS = st.builds(
    Doc,
    id=st.sampled_from(["ábaco", "barco", "casa:azul-da-esquina-1", "casa:azul-da-esquina-2"]),
    text=st.integers(1, 12),
    bands=st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9)),
    words=st.sampled_from([0, 3, 9]),
    normal=FEW,
    url=st.none() | FEW,
    date=DATES,
    quality=st.none() | st.sampled_from([-0.5, 0.0, 0.25, 0.75]),
    reason=st.sampled_from([None, None, None, "short"]),
)
PARTITIONS = ("a@1", "a@2", "b@1", "b@3")
SHARDS = st.lists(st.lists(DOCUMENTS, max_size=5), max_size=3)
CORPORA = st.fixed_dictionaries({}, optional=dict.fromkeys(PARTITIONS, SHARDS))
ORDERS = st.lists(st.sampled_from(["quality", "rank", "newest", "snapshot", "id"]), unique=True)
RANKS = {"a": 2, "b": 1}


@settings(max_examples=25, deadline=None)
@given(st.lists(CORPORA, min_size=1, max_size=3), st.data(), ORDERS, st.booleans())
def test_any_history_gives_the_bytes_of_a_build_from_scratch(
    fresh: list[Corpus], data: st.DataObject, order: list, captures: bool
) -> None:
    section = Dedup(minhash=MINHASH, order=order, newest_capture=("a",) if captures else False)
    corpus: Corpus = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, more in enumerate(fresh):
            gone = data.draw(st.sets(st.sampled_from(sorted(corpus)))) if corpus else set()
            corpus = {k: v for k, v in corpus.items() if k not in gone} | more
            inputs = write_signed(folder / str(number), corpus)
            resumed = cluster(Lake(folder / "lake"), inputs, section, RANKS)
        # 200 bytes: most tables go through runs on disk.
        anew = cluster(Lake(folder / "other"), inputs, section, RANKS, memory_megabytes=2e-4)
        assert resumed.hash == anew.hash
        found = {}
        for path in Lake(folder / "lake").paths(resumed, "keep/"):
            for row in pq.read_table(path).to_pylist():
                place = (path.stem, int(row["shard"]), row["row"])
                # "+" tells survivors apart that share id and snapshot.
                found[place] = (row["reason"], row["duplicate_of"].rstrip("+"))
        assert found == expected_drops(corpus, section, RANKS)


OLD = {
    "jornal@2024": [[Doc("cheia", 1, (1, 2)), Doc("feira", 2, (3, 4))], [Doc("farol", 3, (5, 6))]],
    "blogue@2024": [[Doc("enchente", 4, (1, 9)), Doc("mercado", 2, (3, 4))]],
}
NEW = {"jornal@2025": [[Doc("farol 2", 5, (8, 6)), Doc("outra", 6, (10, 11))]]}


def test_a_new_snapshot_sorts_itself_alone_and_leaves_the_other_lists(tmp_path: Path) -> None:
    lake, told = Lake(tmp_path / "lake"), {}
    inputs = write_signed(tmp_path, OLD)
    before = cluster(lake, inputs, told=told)
    assert told == {"blogue@2024": "sorted", "jornal@2024": "sorted"}
    after = cluster(lake, inputs | write_signed(tmp_path, NEW), told=told)
    assert told == {"blogue@2024": "reused", "jornal@2024": "reused", "jornal@2025": "sorted"}
    old, new = ({s.path: s for s in m.shards} for m in (before, after))
    assert {path for path in old if old[path] != new[path]} == {"clusters.parquet"}
    assert set(new) - set(old) == {"keep/jornal@2025.parquet", "state/jornal@2025.index"}


def test_indexes_that_are_taken_over_are_the_same_files(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    inputs = write_signed(tmp_path, OLD)
    (before, *_) = lake.paths(cluster(lake, inputs), "state/")
    (after, *_) = lake.paths(cluster(lake, inputs | write_signed(tmp_path, NEW)), "state/")
    assert before != after
    assert before.samefile(after)


def test_other_decisions_sort_a_partition_again(tmp_path: Path) -> None:
    lake, told = Lake(tmp_path / "lake"), {}
    cluster(lake, write_signed(tmp_path / "1", OLD))
    strict = OLD | {"blogue@2024": [[Doc("enchente", 4, (1, 9), reason="short"), Doc("m", 7)]]}
    manifest = cluster(lake, write_signed(tmp_path / "2", strict), told=told)
    assert told == {"blogue@2024": "sorted", "jornal@2024": "reused"}
    assert manifest.counts["clusters"] == 0


@pytest.mark.parametrize("at", [3, 9, 40, 200, -1])
def test_a_damaged_index_is_named_and_sorted_again(tmp_path: Path, at: int) -> None:
    lake, told = Lake(tmp_path / "lake"), {}
    inputs = write_signed(tmp_path, OLD)
    before = cluster(lake, inputs)
    (path, _) = lake.paths(before, "state/")
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    heard = []
    inputs |= write_signed(tmp_path, NEW)
    section = Dedup(minhash=MINHASH)
    with lake.write("clusters", code_version="c", section={}, inputs={}) as writer:
        ranks = {"jornal": 1, "blogue": 1}
        after = cluster_partitions(
            writer, inputs, section, ranks, told=lambda p, what: heard.append((p, what))
        )
    assert heard[0][0] == "blogue@2024"
    assert heard[0][1].startswith("unusable: ")
    assert heard[1:] == [
        ("blogue@2024", "sorted"),
        ("jornal@2024", "reused"),
        ("jornal@2025", "sorted"),
    ]
    fresh = cluster(Lake(tmp_path / "other"), inputs, told=told)
    assert after.shards == fresh.shards


def test_a_run_that_was_killed_is_taken_up(tmp_path: Path) -> None:
    lake, told = Lake(tmp_path / "lake"), {}
    inputs = write_signed(tmp_path, OLD)
    # As the kernel would: after the first index.
    broken = dict(inputs) | {"jornal@2024": [*inputs["jornal@2024"], "killed"]}
    arguments = cluster_arguments(inputs, SECTION)
    with pytest.raises(AttributeError), lake.write("clusters", **arguments) as writer:
        cluster_partitions(writer, broken, SECTION, {"jornal": 1, "blogue": 1})
    manifest = cluster(lake, inputs, told=told)
    assert told == {"blogue@2024": "reused", "jornal@2024": "sorted"}
    assert manifest.hash == cluster(Lake(tmp_path / "other"), inputs).hash


def test_arrays_in_mapped_files_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = write_signed(tmp_path, OLD | NEW)
    manifest = cluster(Lake(tmp_path / "lake"), inputs)
    monkeypatch.setattr(scratch, "MAPPED_BYTES", 1)
    assert cluster(Lake(tmp_path / "other"), inputs).hash == manifest.hash


def test_when_a_document_is_taken_down_the_next_takes_its_place(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    three = {"a@1": [[Doc("um", 1, (1, 2)), Doc("dois", 1, (1, 2))], [Doc("três", 3, (1, 5))]]}
    inputs = write_signed(tmp_path / "1", three)
    manifest = cluster(lake, inputs)
    kept = [row["id"] for row in members(lake, manifest) if row["kept"]]
    assert kept == ["dois"]
    inputs = write_signed(tmp_path / "2", {"a@1": [[three["a@1"][0][0]], three["a@1"][1]]})
    manifest = cluster(lake, inputs)
    assert [(r["id"], r["kept"], r["size"]) for r in members(lake, manifest)] == [
        ("um", False, 2),
        ("três", True, 2),
    ]
    assert "dois" not in str(members(lake, manifest))


def members(lake: Lake, manifest: object) -> list[dict]:
    (path,) = lake.paths(manifest, "clusters.parquet")  # type: ignore[arg-type]
    return pq.read_table(path).to_pylist()
