from __future__ import annotations

import json
from collections import Counter
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus import executor
from tagarela_dagster.corpus.dedup.keep import make_kernel
from tagarela_dagster.corpus.dedup.signatures import SignatureError, sign_partition
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document, document_id
from tagarela_dagster.corpus.stage import run_stage
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Dedup, Minhash
from tests.corpus.dedup.texts import (
    ARGUMENTS,
    LIGHTHOUSE,
    MARKET,
    RIVER,
    RIVER_LATER,
    SHORT,
    SHORT_SHOUTED,
    cluster,
    sign,
    write_partitions,
)


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict, dict, Manifest]:
    folder = tmp_path_factory.mktemp("road")
    lake = Lake(folder / "lake")
    shards = write_partitions(folder / "documents")
    signed = sign(lake, shards)
    return lake, shards, signed, cluster(lake, signed)


def dedup(lake: Lake, shards: dict, manifest: Manifest) -> dict[str, tuple[list, list]]:
    """Partition -> kept rows, dropped rows."""
    out = {}
    for partition, paths in shards.items():
        drops = lake.paths(manifest, f"keep/{partition}.parquet")
        with lake.write("deduped", partition, **ARGUMENTS) as writer:
            done = run_stage(writer, paths, partial(make_kernel, drops))
        out[partition] = tuple(
            [row for path in lake.paths(done, kind) for row in pq.read_table(path).to_pylist()]
            for kind in ("kept/", "dropped/")
        )
    return out


def test_one_of_each_kind_survives_where_the_rank_is_lowest(road: tuple) -> None:
    lake, shards, _, manifest = road
    result = dedup(lake, shards, manifest)
    kept = {p: Counter(row["text"] for row in rows) for p, (rows, _) in result.items()}
    assert kept == {
        "blogues@2026": Counter([SHORT_SHOUTED]),
        "livros@2025": Counter([RIVER, MARKET, SHORT, ""]),
        "livros@2026": Counter([LIGHTHOUSE, "Outra coisa qualquer."]),
    }
    reasons = {
        p: Counter((row["reason"], row["text"][:12]) for row in rows)
        for p, (_, rows) in result.items()
    }
    assert reasons == {
        "blogues@2026": Counter(
            {
                ("near_duplicate", "A FEIRA DE S"): 1,
                ("exact_duplicate", ""): 1,
                ("near_duplicate", RIVER_LATER[:12]): 1,
                ("exact_duplicate", RIVER_LATER[:12]): 1,
                ("exact_duplicate", LIGHTHOUSE[:12]): 1,
            }
        ),
        "livros@2025": Counter(),
        "livros@2026": Counter(
            {("exact_duplicate", MARKET[:12]): 1, ("exact_duplicate", SHORT[:12]): 1}
        ),
    }


def test_a_dropped_document_names_its_survivor(road: tuple) -> None:
    lake, shards, _, manifest = road
    _, dropped = dedup(lake, shards, manifest)["blogues@2026"]
    river = document_id("livros", "2025/0")
    survivors = {json.loads(r["meta"])["duplicate_of"] for r in dropped if r["text"] == RIVER_LATER}
    assert survivors == {f"{river}@2025"}


def test_clusters_hold_every_member_with_kind_and_size(road: tuple) -> None:
    lake, _, _, manifest = road
    (path,) = lake.paths(manifest, "clusters.parquet")
    rows = pq.read_table(path).to_pylist()
    river = document_id("livros", "2025/0")
    members = [row for row in rows if row["cluster"] == f"{river}@2025"]
    assert [(r["partition"], r["kept"], r["size"], r["kind"]) for r in members] == [
        ("livros@2025", True, 3, None),
        ("blogues@2026", False, 3, "near"),
        ("blogues@2026", False, 3, "exact"),
    ]
    assert len(rows) == 12
    counts = dict(manifest.counts)
    assert counts.pop("largest")[0]["size"] == 3
    assert counts == {
        "documents": 14,
        "clusters": 5,
        "exact_duplicates": 5,
        "near_duplicates": 2,
        "largest_cluster": 3,
    }


def test_bytes_are_the_same_for_any_order_of_arrival_and_number_of_workers(
    road: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "PARALLEL_BYTES", 0)
    _, shards, _, manifest = road
    lake = Lake(tmp_path / "lake")
    backwards = dict(reversed(shards.items()))
    signed = {p: paths[::-1] for p, paths in sign(lake, backwards, workers=2).items()}
    assert cluster(lake, signed).shards == manifest.shards


def test_a_new_snapshot_leaves_the_drop_lists_of_the_others(road: tuple, tmp_path: Path) -> None:
    _, _, signed, manifest = road
    lake = Lake(tmp_path / "lake")
    before = cluster(lake, {p: paths for p, paths in signed.items() if p != "livros@2026"})
    lists = {s.path: s.sha256 for s in manifest.select("keep/")}
    earlier = {s.path: s.sha256 for s in before.select("keep/")}
    assert list(lists) == ["keep/blogues@2026.parquet", "keep/livros@2026.parquet"]
    assert list(earlier) == ["keep/blogues@2026.parquet"]
    # Its copy of the lighthouse is the only reason to write an older partition again.
    (path,) = lake.paths(before, "keep/blogues@2026.parquet")
    assert pq.read_metadata(path).num_rows == 4


def test_without_exact_hashes_short_copies_stay(road: tuple, tmp_path: Path) -> None:
    manifest = cluster(Lake(tmp_path / "lake"), road[2], Dedup(exact=False))
    assert manifest.counts["exact_duplicates"] == 0
    assert manifest.counts["near_duplicates"] == 5


def test_switched_off_it_keeps_everything(road: tuple, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    manifest = cluster(lake, road[2], Dedup(enabled=False))
    assert manifest.counts["clusters"] == 0
    assert [(s.path, s.rows) for s in manifest.shards] == [("clusters.parquet", 0)]


def test_signatures_of_other_settings_are_refused(road: tuple, tmp_path: Path) -> None:
    section = Dedup(minhash=Minhash(seed=2))
    with pytest.raises(SignatureError, match="materialize its signatures again"):
        cluster(Lake(tmp_path / "lake"), road[2], section)


def test_an_id_that_two_files_of_a_snapshot_share_is_told_apart(tmp_path: Path) -> None:
    shards = []
    for index, texts in enumerate([[RIVER, LIGHTHOUSE], [MARKET, RIVER]]):
        rows = [Document(f"{i}", text).row("livros", "2026") for i, text in enumerate(texts)]
        shards.append(tmp_path / f"{index:05d}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, DOCUMENT_SCHEMA), shards[-1])
    lake = Lake(tmp_path / "lake")
    documents = {"livros@2026": shards}
    kept, dropped = dedup(lake, documents, cluster(lake, sign(lake, documents)))["livros@2026"]
    assert Counter(row["text"] for row in kept) == Counter([RIVER, LIGHTHOUSE, MARKET])
    assert [row["text"] for row in dropped] == [RIVER]


def test_an_empty_partition_signs_to_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.write("signatures", "livros@2026", **ARGUMENTS) as writer:
        manifest = sign_partition(writer, [], Minhash())
    assert manifest.counts == {"documents": 0, "signed": 0, "words": 0, "bytes": 0}
    assert cluster(lake, {"livros@2026": []}).counts["documents"] == 0
