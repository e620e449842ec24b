from __future__ import annotations

import warnings
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.automation.drive import drive
from tagarela_dagster.corpus.tombstones import Target, sha256
from tagarela_dagster.corpus.trace import locate, trace
from tagarela_dagster.definitions import build_definitions
from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.takedown import forget
from tests.resources.two_sources import PARAGRAPHS, open_road, write_snapshot

GOOD, BAD = "diario@2026-01", "jornal@2026-01"
STATIONS = (
    "jornal",
    "diario",
    "benchmarks",
    "documents",
    "measured",
    "signatures",
    "filtered",
    "clusters",
    "deduped",
    "clean",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAGARELA_WORKERS", "1")
    write_snapshot(tmp_path, GOOD, PARAGRAPHS[:4])
    write_snapshot(tmp_path, BAD, PARAGRAPHS[3:6])
    return tmp_path


def go(folder: Path, instance: dg.DagsterInstance) -> Road:
    road = open_road(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        defs = build_definitions(road)
    journey = drive(defs, road, instance, select=STATIONS)
    assert journey.failed == []
    return road


def texts(road: Road, asset: str) -> list[str]:
    found = []
    for key in road.lake.partitions(asset):
        for path in road.lake.paths(road.lake.require(asset, key), "kept/"):
            found += pq.read_table(path, columns=["text"]).column(0).to_pylist()
    return found


def remains(road: Road, words: str) -> list[Path]:
    """Files below the home that still hold some words: in Parquet columns or as bytes."""
    found = []
    for path in road.home.root.rglob("*"):
        if path.suffix == ".parquet":
            if words in str(pq.read_table(path).to_pylist()):
                found.append(path)
        elif path.is_file() and words.encode() in path.read_bytes():
            found.append(path)
    return found


def test_a_document_is_followed_from_its_reading_to_where_it_ends(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    road = go(folder, instance)
    target = Target("text", sha256(PARAGRAPHS[3]))
    places = list(dict.fromkeys(locate(road.lake, target, road.lake.partitions("documents"))))
    ends = {}
    for place in places:
        stops = trace(road.lake, place)
        ends[place.partition] = [(stop.stage, stop.fate) for stop in stops]
        assert stops[0].details["sha256"] == target.value
    assert ends == {
        BAD: [
            ("documents", "read"),
            ("measured", "unchanged"),
            ("filtered", "kept"),
            ("clusters", "one of 2"),
            ("deduped", "kept"),
            ("clean", "kept"),
        ],
        GOOD: [
            ("documents", "read"),
            ("measured", "unchanged"),
            ("filtered", "kept"),
            ("clusters", "one of 2"),
            ("deduped", "dropped"),
        ],
    }


def test_what_is_forgotten_is_gone_from_every_file_and_event_and_stays_away(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    road = go(folder, instance)
    words = PARAGRAPHS[4][:40]
    assert remains(road, words)
    runs = {run.run_id for run in instance.get_runs()}
    done = forget(road.home, sha256(PARAGRAPHS[4]))
    assert {place: len(ids) for place, ids in done.places.items()} == {f"par/{BAD}": 1}
    assert road.state("documents", BAD).startswith("stale: forgotten")
    assert road.state("documents", GOOD) == "fresh"

    road = go(folder, instance)
    assert PARAGRAPHS[4] not in texts(road, "documents")
    assert remains(road, words) == []
    assert PARAGRAPHS[3] in texts(road, "clean")
    left = {run.run_id for run in instance.get_runs()}
    assert runs - left, "runs with samples of its text are gone"
    assert road.lake.require("documents", BAD).counts["ledger"]["dropped"] == {"forgotten": 1}

    write_snapshot(folder, "jornal@2026-02", PARAGRAPHS[4:6])
    road = go(folder, instance)
    assert PARAGRAPHS[4] not in texts(road, "documents"), "a later snapshot has it again"


def test_forgetting_a_survivor_lets_the_next_copy_take_its_place_or_goes_with_its_copies(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    road = go(folder, instance)
    place = next(locate(road.lake, Target("text", sha256(PARAGRAPHS[3])), [BAD]))
    assert len(forget(road.home, place.id).copies) == 1
    road = go(folder, instance)
    assert texts(road, "clean").count(PARAGRAPHS[3]) == 1
    twin = next(locate(road.lake, Target("text", sha256(PARAGRAPHS[3])), [GOOD]))
    assert forget(road.home, twin.id, with_copies=True).copies == []
    road = go(folder, instance)
    assert PARAGRAPHS[3] not in texts(road, "clean")
