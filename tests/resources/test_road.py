from __future__ import annotations

import os
from pathlib import Path

import pytest

from tagarela_dagster.corpus.sources.discover import SourceError
from tagarela_dagster.provenance.lake import MissingPartitionError
from tagarela_dagster.provenance.manifest import Shard
from tagarela_dagster.recipe.load import load_recipe
from tagarela_dagster.resources.making import make
from tagarela_dagster.resources.road import BlockedPartitionError, Road
from tagarela_dagster.resources.stations import DOCUMENT_STAGES
from tests.resources.laying import (
    account,
    lay,
    lay_clusters,
    lay_corpus,
    lay_source,
    not_fresh,
    states,
)
from tests.resources.two_sources import PARAGRAPHS, open_road, write_recipe, write_snapshot

BOTH = ("diario@2026-01", "jornal@2026-01")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for key in BOTH:
        write_snapshot(tmp_path, key, PARAGRAPHS[:3])
    return tmp_path


def test_partitions_are_the_snapshots_of_every_source(folder: Path) -> None:
    write_snapshot(folder, "jornal@2026-02", PARAGRAPHS[:1])
    road = open_road(folder)
    assert road.partitions == [*BOTH, "jornal@2026-02"]
    assert road.source_of("jornal@2026-02") == "jornal"
    with pytest.raises(KeyError, match="of no source of this recipe; sources: jornal, diario"):
        road.source_of("revista@2026")


def test_a_new_lake_misses_everything_and_a_laid_one_is_fresh(folder: Path) -> None:
    road = open_road(folder)
    assert set(states(road).values()) == {"missing"}
    assert len(states(road)) == 1 + 6 * len(BOTH)
    lay_corpus(road, BOTH)
    assert not_fresh(road) == {}
    assert not_fresh(open_road(folder)) == {}


def test_a_snapshot_that_its_source_no_longer_offers_stays_published_and_fresh(
    folder: Path,
) -> None:
    lay_corpus(open_road(folder), BOTH)
    (folder / "jornal" / "2026-01" / "textos.jsonl").unlink()
    write_snapshot(folder, "jornal@2026-02", PARAGRAPHS[:1])
    road = open_road(folder)
    assert road.partitions == [*BOTH, "jornal@2026-02"]
    assert not {name for name in not_fresh(road) if "2026-01" in name}


def test_a_snapshot_that_must_be_read_again_and_is_gone_keeps_what_was_read(folder: Path) -> None:
    lay_corpus(open_road(folder), BOTH)
    (folder / "jornal" / "2026-01" / "textos.jsonl").unlink()
    write_snapshot(folder, "jornal@2026-02", PARAGRAPHS[:1])
    road = open_road(folder, "corpus: {shard_megabytes: 2}\n")
    assert road.state("documents", "jornal@2026-01").startswith("stale")
    read = road.lake.require("documents", "jornal@2026-01")
    with (
        pytest.raises(MissingPartitionError, match="does not offer it any more"),
        road.writing("documents", "jornal@2026-01") as writer,
    ):
        make(road, writer)
    assert road.lake.require("documents", "jornal@2026-01") == read


def test_a_new_snapshot_leaves_every_other_partition_fresh(folder: Path) -> None:
    lay_corpus(open_road(folder), BOTH)
    write_snapshot(folder, "jornal@2026-02", PARAGRAPHS[3:5])
    road = open_road(folder)
    new = "jornal@2026-02"
    assert not_fresh(road) == {
        f"{asset}[{new}]": "missing"
        for asset in ("jornal", "documents", "measured", "signatures", "filtered", "deduped")
    }
    lay_source(road, new)
    for asset in ("documents", "measured", "signatures", "filtered"):
        lay(road, asset, new)
    assert not_fresh(road) == {
        "clusters": f"stale: filtered[{new}], signatures[{new}] changed",
        f"deduped[{new}]": "missing",
    }
    lay_clusters(road, [*BOTH, new])
    assert not_fresh(road) == {f"deduped[{new}]": "missing"}


def test_clusters_make_stale_only_the_partitions_whose_keep_list_changed(folder: Path) -> None:
    road = open_road(folder, "corpus: {dedup: {exact: true}}\n")
    lay_corpus(road, BOTH)
    lay(road, "signatures", BOTH[0], content="outras assinaturas")
    unseen = f"stale: clusters has not seen signatures[{BOTH[0]}] as it is now"
    assert not_fresh(road) == {
        "clusters": f"stale: signatures[{BOTH[0]}] changed",
        f"deduped[{BOTH[0]}]": f"{unseen}: materialize clusters",
    }
    with road.writing("clusters") as writer:
        for key, content in zip(BOTH, ("ids", "menos ids"), strict=True):
            path = writer.data / "keep" / f"{key}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        writer.publish([Shard.of(writer.data, f"keep/{key}.parquet", 3) for key in BOTH], {})
    assert not_fresh(road) == {f"deduped[{BOTH[1]}]": f"stale: clusters[{BOTH[1]}] changed"}


def test_clusters_that_have_not_seen_a_snapshot_are_no_input_for_it(folder: Path) -> None:
    road = open_road(folder)
    lay_corpus(road, BOTH[:1])
    lay_source(road, BOTH[1])
    for asset in ("documents", "measured", "signatures", "filtered"):
        lay(road, asset, BOTH[1])
    changed = f"filtered[{BOTH[1]}], signatures[{BOTH[1]}]"
    assert road.state("clusters") == f"stale: {changed} changed"
    with pytest.raises(MissingPartitionError, match=r"clusters has not seen signatures\[jornal"):
        lay(road, "deduped", BOTH[1])
    lay_clusters(road, BOTH[:1])
    lay(road, "deduped", BOTH[1])
    assert not_fresh(road) == {}


def test_a_changed_raw_file_makes_its_source_stale_and_nothing_else_until_it_is_pinned(
    folder: Path,
) -> None:
    lay_corpus(open_road(folder), BOTH)
    write_snapshot(folder, "jornal@2026-01", PARAGRAPHS[:4])
    road = open_road(folder)
    assert not_fresh(road) == {"jornal[jornal@2026-01]": "stale: files changed"}
    lay_source(road, "jornal@2026-01")
    assert not_fresh(road) == {
        "documents[jornal@2026-01]": "stale: jornal[jornal@2026-01] changed",
    }


def test_a_raw_file_that_is_touched_but_the_same_changes_nothing(folder: Path) -> None:
    lay_corpus(open_road(folder), BOTH)
    os.utime(folder / "jornal" / "2026-01" / "textos.jsonl", ns=(1, 1))
    assert not_fresh(open_road(folder)) == {}


def test_an_input_that_comes_out_with_the_same_bytes_makes_nothing_stale(folder: Path) -> None:
    road = open_road(folder)
    lay_corpus(road, BOTH)
    lay(road, "filtered", BOTH[0])
    assert not_fresh(road) == {}


@pytest.mark.parametrize(
    ("more", "assets"),
    [
        ("corpus: {quality: {min_words: 60}}\n", {"filtered"}),
        ("corpus: {pii: {action: drop}}\n", {"filtered"}),
        ("corpus: {dedup: {minhash: {seed: 2}}}\n", {"signatures", "clusters"}),
        ("corpus: {dedup: {exact: false}}\n", {"clusters"}),
        ("corpus: {max_document_megabytes: 1}\n", {"documents"}),
        ("corpus: {decontamination: {n_grams: 9}}\n", set()),
        ("training: {pretrain: {steps: 3}}\n", set()),
        ("seed: 7\n", set()),
    ],
)
def test_a_changed_section_makes_stale_what_depends_on_it_and_nothing_else(
    folder: Path, more: str, assets: set[str]
) -> None:
    lay_corpus(open_road(folder), BOTH)
    stale = not_fresh(open_road(folder, more))
    assert {name.split("[")[0] for name in stale} == assets
    assert set(stale.values()) <= {"stale: the recipe or the code has changed"}
    assert len(stale) == sum(1 if asset == "clusters" else len(BOTH) for asset in assets)


def test_thresholds_of_one_source_make_only_its_own_decisions_stale(folder: Path) -> None:
    lay_corpus(open_road(folder), BOTH)
    more = "corpus: {overrides: {jornal: {quality: {min_words: 9}}}}\n"
    assert set(not_fresh(open_road(folder, more))) == {"filtered[jornal@2026-01]"}


def test_a_source_that_is_read_differently_makes_only_its_own_documents_stale(
    folder: Path,
) -> None:
    lay_corpus(open_road(folder), BOTH)
    path = folder / "par.yaml"
    path.write_text(path.read_text().replace("rank: 1,", "rank: 1, variety: pt-PT,"))
    road = Road(load_recipe(path, "full"), open_road(folder).home)
    assert set(not_fresh(road)) == {"jornal[jornal@2026-01]", "documents[jornal@2026-01]"}


def test_another_rank_of_a_source_makes_only_clusters_stale(folder: Path) -> None:
    home = open_road(folder).home
    lay_corpus(open_road(folder), BOTH)
    path = folder / "par.yaml"
    path.write_text(path.read_text().replace("rank: 1,", "rank: 200,"))
    assert set(not_fresh(Road(load_recipe(path, "full"), home))) == {"clusters"}


def test_the_same_files_elsewhere_are_the_same_snapshot(folder: Path, tmp_path: Path) -> None:
    lay_corpus(open_road(folder), BOTH)
    home = open_road(folder).home
    moved = tmp_path / "outro_disco"
    moved.mkdir()
    for key in BOTH:
        write_snapshot(moved, key, PARAGRAPHS[:3])
    assert not_fresh(Road(load_recipe(write_recipe(moved), "full"), home)) == {}


def test_an_input_that_was_never_made_is_named(folder: Path) -> None:
    road = open_road(folder)
    with pytest.raises(MissingPartitionError, match=r"jornal\[jornal@2026-01\] has not been"):
        road.identity("documents", "jornal@2026-01")
    with pytest.raises(MissingPartitionError, match="signatures has no partition yet"):
        road.identity("clusters")


def test_a_blocked_partition_stays_out_and_everything_after_it_is_held_back(
    folder: Path,
) -> None:
    road = open_road(folder)
    good, bad = BOTH
    lay_corpus(road, BOTH)
    lay(road, "documents", bad, kept=3, quarantined=4)
    reason = f"documents[{bad}] fails input_is_sound: 4 of 7 records are quarantined"
    for asset in ("documents", "measured", "signatures", "filtered", "deduped"):
        assert (road.blocked(asset, bad) or "").startswith(reason)
        assert road.blocked(asset, good) is None
    assert [m.partition for m in road.published("signatures")] == [good]
    assert not_fresh(road).keys() == {
        "clusters",
        *(f"{asset}[{bad}]" for asset in ("measured", "filtered", "signatures", "deduped")),
    }
    assert not_fresh(road)["clusters"] == f"stale: filtered[{bad}], signatures[{bad}] changed"
    assert not_fresh(road)[f"measured[{bad}]"].startswith(f"stale: {reason}")
    with pytest.raises(BlockedPartitionError, match="check the source's format and path"):
        lay(road, "measured", bad)


def test_a_partition_that_is_repaired_goes_on(folder: Path) -> None:
    road = open_road(folder)
    lay_corpus(road, BOTH)
    lay(road, "documents", BOTH[1], kept=1, quarantined=4)
    assert road.blocked("signatures", BOTH[1])
    lay(road, "documents", BOTH[1])
    assert road.blocked("signatures", BOTH[1]) is None
    assert not_fresh(road) == {}


def test_ledgers_come_in_the_order_of_the_road(folder: Path) -> None:
    road = open_road(folder)
    assert road.ledgers() == []
    lay_corpus(road, BOTH)
    assert [(row.stage, f"{row.source}@{row.snapshot}") for row in road.ledgers()] == [
        (stage, key) for stage in DOCUMENT_STAGES[:4] for key in BOTH
    ]
    assert road.ledgers()[0] == account("documents", BOTH[0], 3)


def test_a_source_whose_folder_is_gone_says_so(folder: Path) -> None:
    road = open_road(folder)
    for path in sorted((folder / "diario").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (folder / "diario").rmdir()
    with pytest.raises(SourceError, match="there is no folder .*diario"):
        _ = road.partitions
