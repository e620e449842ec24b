from __future__ import annotations

import random
from pathlib import Path

import dagster as dg
import pytest

from tagarela_dagster.automation.drive import Journey, drive
from tagarela_dagster.definitions import build_definitions
from tagarela_dagster.resources.road import Road
from tests.resources.full_disk import full_disk
from tests.resources.laying import not_fresh
from tests.resources.two_sources import PARAGRAPHS, open_road, write_snapshot

SMALL, LARGE = "diario@2026-01", "jornal@2026-01"
STAGES = ("documents", "measured", "signatures", "filtered", "clusters", "deduped")
ROOM = 40_000
"""Bytes that a file may have: more than any account or manifest here, less than LARGE's shards."""
DOCUMENTS = 6_000
UNMEASURED = "corpus: {repetition: {enabled: false}, quality: {enabled: false}}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAGARELA_WORKERS", "1")
    words = " ".join(PARAGRAPHS).split()
    order = random.Random(1)
    many = [" ".join(order.sample(words, 60)) for _ in range(DOCUMENTS)]
    write_snapshot(tmp_path, SMALL, PARAGRAPHS[:3])
    write_snapshot(tmp_path, LARGE, many)
    return tmp_path


def go(folder: Path, instance: dg.DagsterInstance, stages: tuple[str, ...]) -> tuple[Road, Journey]:
    road = open_road(folder, UNMEASURED)
    select = ("jornal", "diario", *stages)
    return road, drive(build_definitions(road), road, instance, select=select)


def on_disk(folder: Path) -> dict[str, bytes]:
    """What a reader sees of the lake: published partitions and the data that they name."""
    lake = folder / "home" / "par" / "lake"
    paths = [p for p in lake.rglob("*") if p.is_file()]
    names = [p.relative_to(lake).as_posix() for p in paths]
    return {
        name: path.read_bytes()
        for name, path in zip(names, paths, strict=True)
        if "/." not in name and not name.endswith("seen.json")
    }


@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning")
@pytest.mark.parametrize("stage", ["documents", "signatures", "deduped"])
def test_a_full_disk_publishes_nothing_fails_the_run_and_stops_nobody_else(
    folder: Path, instance: dg.DagsterInstance, stage: str
) -> None:
    before = STAGES[: STAGES.index(stage)]
    go(folder, instance, before)
    runs = instance.get_runs_count()
    with full_disk(ROOM):
        road, journey = go(folder, instance, (*before, stage))

    [(leg, error)] = journey.failed
    assert (leg.partition, leg.assets[-1]) == (LARGE, stage)
    assert "File too large" in error
    assert [done.partition for done in journey.done if stage in done.assets] == [SMALL]
    assert road.lake.partitions(stage) == [SMALL]
    assert not [name for name in on_disk(folder) if name.startswith(f"{stage}/{LARGE}/")]
    [failed] = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert failed.tags["dagster/partition"] == LARGE
    assert instance.get_runs_count() == runs + len(journey.done) + 1

    road, journey = go(folder, instance, (*before, stage))
    assert journey.failed == []
    assert [(done.partition, done.assets) for done in journey.done] == [(LARGE, (stage,))]
    assert road.state(stage, LARGE) == "fresh"


@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning")
def test_what_was_published_before_stays_whole_when_its_replacement_finds_no_room(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    go(folder, instance, ("documents",))
    published = f"documents/{LARGE}/"
    before = {name: text for name, text in on_disk(folder).items() if name.startswith(published)}
    raw = folder / "jornal" / "2026-01" / "textos.jsonl"
    raw.write_text("".join(reversed(raw.read_text().splitlines(keepends=True))))
    with full_disk(ROOM):
        road, journey = go(folder, instance, ("documents",))
    assert [(leg.assets, leg.partition) for leg, _ in journey.failed] == [(("documents",), LARGE)]
    after = {name: text for name, text in on_disk(folder).items() if name.startswith(published)}
    assert before == after
    assert not_fresh(road)[f"documents[{LARGE}]"] == f"stale: jornal[{LARGE}] changed"
