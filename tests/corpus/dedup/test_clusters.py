"""Clusters of Portuguese texts, from document shards on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.dedup.keep import apply, read_drops
from tagarela_dagster.corpus.dedup.signatures import SignatureError
from tagarela_dagster.corpus.document import document_id
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Dedup, Minhash
from tests.corpus.dedup.texts import (
    LIGHTHOUSE,
    MARKET,
    RIVER,
    RIVER_LATER,
    SHORT,
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


def decide(lake: Lake, shards: dict, manifest: Manifest) -> dict[str, Counter]:
    """Partition -> (why it is dropped or None, begin of the text) of every document."""
    found: dict[str, Counter] = {}
    for partition, inputs in shards.items():
        keep_list = lake.paths(manifest, f"keep/{partition}.parquet")
        for shard in inputs:
            table = pq.read_table(shard.paths[0])
            drops = read_drops(keep_list, shard.name)
            reasons, _ = apply(pa.nulls(len(table), pa.string()), table.column("id"), drops)
            texts = [text[:12] for text in table.column("text").to_pylist()]
            found.setdefault(partition, Counter()).update(
                zip(reasons.to_pylist(), texts, strict=True)
            )
    return found


def test_one_of_each_kind_survives_where_the_rank_is_lowest(road: tuple) -> None:
    lake, shards, _, manifest = road
    assert decide(lake, shards, manifest) == {
        "blogues@2026": Counter(
            [
                ("near_duplicate", "A FEIRA DE S"),
                ("exact_duplicate", ""),
                ("near_duplicate", "FIM DA HISTÓ"),
                ("near_duplicate", RIVER_LATER[:12]),
                ("exact_duplicate", RIVER_LATER[:12]),
                ("exact_duplicate", LIGHTHOUSE[:12]),
            ]
        ),
        "livros@2025": Counter(
            [(None, RIVER[:12]), (None, MARKET[:12]), (None, SHORT[:12]), (None, "")]
        ),
        "livros@2026": Counter(
            [
                (None, LIGHTHOUSE[:12]),
                ("exact_duplicate", MARKET[:12]),
                ("exact_duplicate", SHORT[:12]),
                (None, "Outra coisa "),
            ]
        ),
    }


def test_clusters_hold_every_member_with_kind_and_size(road: tuple) -> None:
    lake, _, _, manifest = road
    (path,) = lake.paths(manifest, "clusters.parquet")
    rows = pq.read_table(path).to_pylist()
    river = document_id("livros", "2025/0")
    members = [row for row in rows if row["cluster"] == f"{river}@2025"]
    assert [(r["partition"], r["kept"], r["size"], r["kind"]) for r in members] == [
        ("blogues@2026", False, 3, "exact"),
        ("blogues@2026", False, 3, "near"),
        ("livros@2025", True, 3, None),
    ]
    assert len(rows) == 13
    counts = dict(manifest.counts)
    assert counts.pop("largest")[0]["size"] == 3
    assert counts == {
        "documents": 14,
        "older_captures": 0,
        "clusters": 5,
        "exact_duplicates": 5,
        "near_duplicates": 3,
        "largest_cluster": 3,
    }


def test_bytes_are_the_same_for_any_order_of_arrival(road: tuple, tmp_path: Path) -> None:
    _, _, signed, manifest = road
    backwards = {partition: signed[partition][::-1] for partition in reversed(signed)}
    assert cluster(Lake(tmp_path / "lake"), backwards).shards == manifest.shards


def test_without_exact_hashes_copies_of_texts_are_near_duplicates(
    road: tuple, tmp_path: Path
) -> None:
    manifest = cluster(Lake(tmp_path / "lake"), road[2], Dedup(exact=False))
    assert manifest.counts["exact_duplicates"] == 0
    # All but the empty document, which has no word to compare.
    assert manifest.counts["near_duplicates"] == 7


def test_switched_off_it_keeps_everything(road: tuple, tmp_path: Path) -> None:
    manifest = cluster(Lake(tmp_path / "lake"), road[2], Dedup(enabled=False))
    assert manifest.counts["clusters"] == 0
    assert [s.path for s in manifest.shards if s.path.startswith("keep/")] == []


def test_signatures_of_other_settings_are_refused(road: tuple, tmp_path: Path) -> None:
    section = Dedup(minhash=Minhash(seed=2))
    with pytest.raises(SignatureError, match="materialize its signatures again"):
        cluster(Lake(tmp_path / "lake"), road[2], section)


def test_a_partition_without_documents_has_no_clusters(tmp_path: Path) -> None:
    assert cluster(Lake(tmp_path), {"livros@2026": []}).counts["documents"] == 0
