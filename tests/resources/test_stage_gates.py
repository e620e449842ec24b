from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.resources.gates import (
    GATES,
    input_is_sound,
    ledger_balances,
    scores_are_complete,
)
from tagarela_dagster.resources.gates_training import STAGE_GATES, loss_falls
from tests.resources.laying import account, lay, lay_source
from tests.resources.two_sources import PARAGRAPHS, open_road, write_snapshot

KEY = "livros@2026"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def publish(
    lake: Lake,
    asset: str,
    counts: Mapping[str, Any],
    rows: int = 0,
    inputs: Mapping[str, str] | None = None,
    partition: str | None = KEY,
) -> Manifest:
    writing = lake.write(asset, partition, code_version="c", section={}, inputs=inputs or {})
    with writing as writer:
        (writer.data / "kept").mkdir()
        (writer.data / "kept" / "0.parquet").write_text(asset)
        return writer.publish([Shard.of(writer.data, "kept/0.parquet", rows)], counts)


def publish_account(lake: Lake, ledger: Ledger, rows: int | None = None, **more: Any) -> Manifest:
    rows = ledger.documents_kept if rows is None else rows
    return publish(lake, ledger.stage, {"ledger": ledger.as_json()}, rows, **more)


def test_every_gate_that_this_file_opens_and_shuts_is_on_the_road() -> None:
    gates = {gate for named in GATES.values() for gate in named.values()}
    assert gates == {ledger_balances, input_is_sound, scores_are_complete}
    assert STAGE_GATES["pretrain"] == {"loss_falls": loss_falls}


def test_an_account_that_balances_passes_and_its_sentence_has_the_numbers(lake: Lake) -> None:
    verdict = ledger_balances(lake, publish_account(lake, account("documents", KEY, 5, 2)))
    assert verdict.passed
    assert verdict.sentence == "7 documents in = 5 kept + 2 dropped, to the byte"
    assert verdict.numbers == {"documents_in": 7, "documents_kept": 5, "documents_dropped": 2}


def test_a_document_that_is_lost_shuts_the_gate(lake: Lake) -> None:
    ledger = account("documents", KEY, 5)
    ledger.documents_in += 1
    verdict = ledger_balances(lake, publish_account(lake, ledger))
    assert not verdict.passed
    assert verdict.sentence == "documents of livros@2026: 6 documents in, 5 accounted for"


def test_a_byte_that_is_lost_shuts_the_gate(lake: Lake) -> None:
    ledger = account("filtered", KEY, 5)
    ledger.edit("cleanup", 1)
    verdict = ledger_balances(lake, publish_account(lake, ledger))
    assert not verdict.passed
    assert verdict.sentence == "filtered of livros@2026: 50 bytes in, 51 accounted for"


def test_shards_that_hold_other_than_the_account_says_shut_the_gate(lake: Lake) -> None:
    verdict = ledger_balances(lake, publish_account(lake, account("documents", KEY, 5), rows=4))
    assert not verdict.passed
    assert verdict.sentence == "the shards hold 4 documents, the account says 5"


def test_tokens_are_not_counted_as_documents(lake: Lake) -> None:
    manifest = publish_account(lake, account("tokens", KEY, 5), rows=4000)
    assert ledger_balances(lake, manifest).passed


@pytest.mark.parametrize(("came", "passed"), [(5, True), (4, False)])
def test_what_comes_in_is_what_the_stage_before_kept(lake: Lake, came: int, passed: bool) -> None:
    given = publish_account(lake, account("documents", KEY, 5))
    inputs = {f"documents[{KEY}]": given.hash}
    manifest = publish_account(lake, account("measured", KEY, came), inputs=inputs)
    verdict = ledger_balances(lake, manifest)
    assert verdict.passed is passed
    if not passed:
        assert verdict.sentence == "(4, 40) came in, documents gave (5, 50)"


def test_an_older_input_is_not_compared(lake: Lake) -> None:
    publish_account(lake, account("documents", KEY, 5))
    inputs = {f"documents[{KEY}]": "hash of another version"}
    manifest = publish_account(lake, account("measured", KEY, 4), inputs=inputs)
    assert ledger_balances(lake, manifest).passed


@pytest.mark.parametrize(
    ("kept", "quarantined", "passed"), [(5, 0, True), (3, 3, True), (3, 4, False), (0, 1, False)]
)
def test_a_snapshot_of_which_more_than_half_is_damaged_does_not_go_on(
    lake: Lake, kept: int, quarantined: int, passed: bool
) -> None:
    manifest = publish_account(lake, account("documents", KEY, kept, quarantined))
    verdict = input_is_sound(lake, manifest)
    assert verdict.passed is passed
    sentence = f"{quarantined} of {kept + quarantined} records are quarantined"
    assert verdict.sentence.startswith(sentence)
    assert ("check the source's format and path" in verdict.sentence) is not passed


def test_a_snapshot_without_any_record_does_not_go_on(lake: Lake) -> None:
    verdict = input_is_sound(lake, publish_account(lake, account("documents", KEY, 0)))
    assert not verdict.passed
    assert "no document" in verdict.sentence


def test_records_that_a_rule_leaves_out_are_not_damage(lake: Lake) -> None:
    ledger = account("documents", KEY, 1)
    ledger.documents_in += 9
    ledger.drop("redirect", 9, 0)
    assert input_is_sound(lake, publish_account(lake, ledger)).passed


@pytest.mark.parametrize(
    ("first", "last", "passed"),
    [(9.2, 5.1, True), (9.2, 9.2, False), (9.2, 9.9, False), (9.2, float("inf"), False)],
)
def test_a_training_whose_loss_does_not_fall_does_not_go_on(
    lake: Lake, first: float, last: float, passed: bool
) -> None:
    manifest = Manifest("pretrain", None, "c", {}, {}, (), {"loss_first": first, "loss_last": last})
    verdict = loss_falls(lake, manifest)
    assert verdict.passed is passed
    assert verdict.sentence == f"the loss went from {first:.4f} to {last:.4f}"


ROW = {"task": "last_word", "protocol": "gloria", "value": 0.5, "low": 0.4, "high": 0.6, "items": 9}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([ROW, {**ROW, "protocol": "tucano"}], "2 scores, each with its interval"),
        ([ROW, {**ROW, "value": float("nan")}], "bad: last_word (gloria)"),
        ([{**ROW, "items": 0}], "bad: last_word (gloria)"),
        ([{**ROW, "value": 0.7}], "bad: last_word (gloria)"),
        ([], "0 scores, each with its interval"),
    ],
)
def test_scores_need_a_value_inside_an_interval_over_items(
    lake: Lake, rows: list[dict[str, Any]], sentence: str
) -> None:
    with lake.write("scores", "run-1", code_version="c", section={}, inputs={}) as writer:
        (writer.data / "scores.json").write_text(json.dumps(rows))
        manifest = writer.publish([Shard.of(writer.data, "scores.json", len(rows))], {})
    verdict = scores_are_complete(lake, manifest)
    assert verdict.sentence == sentence
    assert verdict.passed is (len(rows) == 2 and "bad" not in sentence)


def test_a_real_partition_of_the_road_passes(tmp_path: Path) -> None:
    write_snapshot(tmp_path, "diario@1", PARAGRAPHS[:3])
    write_snapshot(tmp_path, "jornal@1", PARAGRAPHS[:3])
    road = open_road(tmp_path)
    lay_source(road, "jornal@1")
    documents = lay(road, "documents", "jornal@1")
    lay(road, "measured", "jornal@1")
    filtered = lay(road, "filtered", "jornal@1")
    assert ledger_balances(road.lake, filtered).passed
    assert input_is_sound(road.lake, documents).passed
