from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path

import dagster as dg
import pytest

from tagarela_dagster.automation.drive import Journey, Leg, drive
from tagarela_dagster.corpus import reading
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.definitions import build_definitions
from tagarela_dagster.resources.road import Road
from tests.resources.laying import not_fresh
from tests.resources.two_sources import DAMAGED, PARAGRAPHS, open_road, write_snapshot

UP_TO_DEDUPED = (
    "jornal",
    "diario",
    "documents",
    "measured",
    "signatures",
    "filtered",
    "clusters",
    "deduped",
)
UNMEASURED = "corpus: {repetition: {enabled: false}, quality: {enabled: false}}\n"
"""Rules that count words are tested elsewhere, and take seconds to load."""
GOOD, BAD = "diario@2026-01", "jornal@2026-01"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAGARELA_WORKERS", "1")
    write_snapshot(tmp_path, GOOD, PARAGRAPHS[:4])
    write_snapshot(tmp_path, BAD, PARAGRAPHS[3:6])
    return tmp_path


def go(
    folder: Path,
    instance: dg.DagsterInstance,
    select: tuple[str, ...] | None = UP_TO_DEDUPED,
    partition: str | None = None,
) -> tuple[Road, Journey]:
    """Drive as a new process would."""
    road = open_road(folder, UNMEASURED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        defs = build_definitions(road)
    return road, drive(defs, road, instance, select=select, partition=partition)


def titles(legs: list[Leg]) -> list[str]:
    return [leg.title for leg in legs]


def kept(road: Road, asset: str) -> dict[str | None, int]:
    """Documents kept in each partition that may go on."""
    return {
        manifest.partition: Ledger.from_json(manifest.counts["ledger"]).documents_kept
        for manifest in road.published(asset)
    }


def check_events(
    instance: dg.DagsterInstance, asset: str, name: str
) -> list[dg.AssetCheckEvaluation]:
    """Evaluations of a check in the event log, newest first: what the page shows."""
    records = instance.get_event_records(
        dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    )
    found = []
    for record in records:
        event = record.event_log_entry.dagster_event
        assert event is not None
        evaluation = event.asset_check_evaluation_data
        if (evaluation.asset_key, evaluation.check_name) == (dg.AssetKey(asset), name):
            found.append(evaluation)
    return found


def materialized(instance: dg.DagsterInstance, asset: str) -> set[str]:
    return set(instance.get_materialized_partitions(dg.AssetKey(asset)))


def test_a_sound_corpus_drives_through_and_a_second_drive_does_nothing(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    road, journey = go(folder, instance)
    assert journey.failed == []
    assert titles(journey.done) == [
        f"diario · {GOOD}",
        f"jornal · {BAD}",
        f"documents, measured, signatures, filtered · {GOOD}",
        f"documents, measured, signatures, filtered · {BAD}",
        "clusters",
        f"deduped · {GOOD}",
        f"deduped · {BAD}",
    ]
    assert kept(road, "filtered") == {GOOD: 4, BAD: 3}
    assert kept(road, "deduped") == {GOOD: 3, BAD: 3}, "the source of lower rank keeps the copy"
    assert materialized(instance, "deduped") == {GOOD, BAD}
    runs = instance.get_runs_count()

    road, journey = go(folder, instance)
    assert (journey.done, journey.failed, journey.fresh) == ([], [], 13)
    assert instance.get_runs_count() == runs


def test_a_bad_partition_is_blocked_for_good_and_the_others_go_on(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    write_snapshot(folder, BAD, PARAGRAPHS[3:6], DAMAGED)
    road, journey = go(folder, instance)

    [(leg, error)] = journey.failed
    assert leg.title == f"documents, measured, signatures, filtered · {BAD}"
    sentence = "6 of 9 records are quarantined, more than 50%: check the source's format and path"
    assert error == f"documents[{BAD}] fails input_is_sound: {sentence}"
    evaluations = check_events(instance, "documents", "input_is_sound")
    assert [(e.partition, e.passed, e.blocking) for e in evaluations] == [
        (BAD, False, True),
        (GOOD, True, True),
    ]
    assert evaluations[0].description == sentence
    assert evaluations[0].metadata["quarantined_share"].value == 0.6667
    [run] = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert run.tags["dagster/partition"] == BAD

    assert materialized(instance, "documents") == {GOOD, BAD}, "it stays, to be looked at"
    for asset in ("measured", "signatures", "filtered", "deduped"):
        assert materialized(instance, asset) == {GOOD}
        assert road.lake.partitions(asset) == [GOOD]
    assert kept(road, "deduped") == {GOOD: 4}

    road, journey = go(folder, instance)
    [(leg, error)] = journey.failed
    assert (leg.partition, leg.assets) == (BAD, ("measured", "signatures", "filtered"))
    assert sentence in error
    assert journey.done == []
    assert road.lake.partitions("deduped") == [GOOD]


def test_a_partition_that_was_repaired_goes_on_and_the_others_stay(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    write_snapshot(folder, BAD, PARAGRAPHS[4:6], DAMAGED)
    go(folder, instance)
    write_snapshot(folder, BAD, PARAGRAPHS[4:6])
    road, journey = go(folder, instance)
    assert journey.failed == []
    assert titles(journey.done) == [
        f"jornal · {BAD}",
        f"documents, measured, signatures, filtered · {BAD}",
        "clusters",
        f"deduped · {BAD}",
    ]
    assert kept(road, "deduped") == {GOOD: 4, BAD: 2}


def test_only_a_new_snapshot_and_what_depends_on_it_runs(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    go(folder, instance)
    before = materialization_counts(instance)
    new = "jornal@2026-02"
    write_snapshot(folder, new, [PARAGRAPHS[0], *PARAGRAPHS[6:8]])
    road, journey = go(folder, instance)
    assert journey.failed == []
    # The new snapshot's source has the lower rank, so a document of diario loses its place.
    assert titles(journey.done) == [
        f"jornal · {new}",
        f"documents, measured, signatures, filtered · {new}",
        "clusters",
        f"deduped · {GOOD}",
        f"deduped · {new}",
    ]
    assert kept(road, "deduped") == {GOOD: 2, BAD: 3, new: 3}
    assert instance.get_dynamic_partitions("corpus") == [GOOD, BAD, new]
    assert set(instance.get_dynamic_partitions("jornal")) == {BAD, new}
    after = materialization_counts(instance)
    again = {name: after[name] - count for name, count in before.items() if after[name] > count}
    assert again == {f"deduped[{GOOD}]": 1, "clusters[None]": 1}
    assert not_fresh(open_road(folder, UNMEASURED)) == {}


def materialization_counts(instance: dg.DagsterInstance) -> dict[str, int]:
    """``asset[partition]`` -> materialization events."""
    counts: dict[str, int] = {}
    for asset in UP_TO_DEDUPED:
        for record in instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records:
            name = f"{asset}[{record.partition_key}]"
            counts[name] = counts.get(name, 0) + 1
    return counts


def test_a_drive_of_one_snapshot_stops_where_something_else_is_needed_and_names_it(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    road, journey = go(folder, instance, select=None, partition=GOOD)
    assert titles(journey.done) == [
        f"diario · {GOOD}",
        f"documents, measured, signatures, filtered · {GOOD}",
    ]
    [(leg, error)] = journey.failed
    assert leg.title == f"deduped, clean · {GOOD}"
    assert "clusters has not been materialized yet: materialize it first" in error
    assert road.lake.partitions("documents") == [GOOD]


def test_a_leg_that_is_ended_from_outside_ends_the_drive(
    folder: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminated(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr(reading, "read_partition", terminated)
    with pytest.raises(KeyboardInterrupt):
        go(folder, instance)
    # Two sources were pinned, the first reading was ended, and nothing else was started.
    assert instance.get_runs_count() == 3
