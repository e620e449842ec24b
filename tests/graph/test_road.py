"""The whole road on the sample corpus, as a user runs it: the command, its outputs, its death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.recipe import load_recipe
from tagarela_dagster.resources.home import Home
from tagarela_dagster.resources.road import Road

RECIPE = Path(__file__).with_name("short.yaml")
pytestmark = pytest.mark.train


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tagarela_dagster.cli", *arguments]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "TAGARELA_HOME": str(home), "TAGARELA_RECIPE": str(RECIPE)}


def tagarela(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environment(home), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def demo(home: Path) -> subprocess.CompletedProcess[str]:
    return tagarela(home, "demo")


@pytest.fixture(scope="module")
def road(home: Path, demo: subprocess.CompletedProcess[str]) -> Road:
    return Road(load_recipe(RECIPE), Home(home / "short"))


def test_demo_ends_well_and_says_what_it_made(demo: subprocess.CompletedProcess[str]) -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    for word in ("Ledger", "filtered", "Scores of", "gloria", "tucano", "tagarela ui"):
        assert word in demo.stdout


def test_run_again_everything_is_fresh(demo: object, home: Path) -> None:
    again = tagarela(home, "demo")
    assert again.returncode == 0, again.stderr
    assert "Everything is fresh" in again.stdout


def test_the_ledger_balances_from_stage_to_stage(home: Path, road: Road) -> None:
    rows = json.loads(tagarela(home, "ledger", "--json").stdout)
    accounts = [Ledger.from_json(row) for row in rows]
    for account in accounts:
        account.check()
    by_stage: dict[str, dict[str, Ledger]] = {}
    for a in accounts:
        by_stage.setdefault(a.stage, {})[f"{a.source}@{a.snapshot}"] = a
    stages = list(by_stage)
    assert stages == ["documents", "measured", "filtered", "deduped", "clean", "tokens"]
    for before, after in zip(stages, stages[1:], strict=False):
        for partition, account in by_stage[after].items():
            given = by_stage[before][partition]
            assert account.documents_in == given.documents_kept
            assert account.bytes_in == given.bytes_kept
    assert set(by_stage["tokens"]) == set(road.partitions)


def test_each_checkpoint_has_scores_with_intervals(road: Road) -> None:
    names = [key.split("-", 1)[1] for key in road.checkpoints]
    assert names == ["step-000020", "step-000040", "final"], "the tuned model is scored too"
    for key in road.checkpoints:
        path = road.lake.paths(road.lake.require("scores", key), "scores.json")[0]
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        kinds = {(row["task"], row["protocol"]) for row in rows}
        assert {("last_word_sample", "gloria"), ("last_word_sample", "tucano")} <= kinds
        assert any(row["metric"] == "bits_per_byte" for row in rows)
        for row in rows:
            assert row["low"] <= row["value"] <= row["high"]
            assert row["items"] > 0


def test_the_page_knows_partitions_checkpoints_and_losses(road: Road) -> None:
    with dg.DagsterInstance.from_config(str(road.home.dagster)) as instance:
        for asset in ("documents", "measured", "filtered", "deduped", "clean", "tokens"):
            assert instance.get_materialized_partitions(dg.AssetKey(asset)) == set(road.partitions)
        assert instance.get_materialized_partitions(dg.AssetKey("checkpoints")) == set(
            road.checkpoints
        )
        observed = instance.fetch_observations(dg.AssetKey("pretrain"), limit=100).records
        losses = [r.asset_observation.metadata["loss"].value for r in observed]  # type: ignore[union-attr]
        assert len(losses) == 40
        checks = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(dg.AssetKey("filtered"), "ledger_balances")]
        )
        assert len(checks) == 1


def test_metrics_have_a_line_for_each_step_and_the_plan_is_consumed(road: Road) -> None:
    run = road.run_folder("pretrain")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 41))
    assert rows[-1]["tokens"] == 40 * 2 * 4 * 256
    plan = json.loads((road.lake.data("mixture") / "plan.json").read_text())
    planned = {s["name"]: s["planned_tokens"] for s in plan["sources"] if s["planned_tokens"]}
    assert rows[-1]["tokens_per_source"] == planned
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_workers_change_no_hash(road: Road, tmp_path: Path) -> None:
    one = {**environment(tmp_path), "TAGARELA_WORKERS": "1"}
    run = subprocess.run(
        command("materialize", "--select", "+clean"),
        env=one,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    other = Road(road.recipe, Home(tmp_path / "short"))
    for asset in ("documents", "measured", "signatures", "filtered", "deduped", "clean"):
        for partition in road.partitions:
            mine, theirs = (r.lake.require(asset, partition).hash for r in (road, other))
            assert mine == theirs, (asset, partition)
    assert road.lake.require("clusters").hash == other.lake.require("clusters").hash


def test_a_killed_worker_leaves_nothing_behind_and_a_rerun_goes_on(
    road: Road, home: Path, tmp_path: Path
) -> None:
    longer = tmp_path / "longer.yaml"
    longer.write_text(
        f"extends: {RECIPE}\nname: short\n"
        "training: {pretrain: {steps: 120, checkpoint_every: 20}}\n",
        encoding="utf-8",
    )
    there = {
        **environment(home),
        "TAGARELA_RECIPE": str(longer),
        "DAGSTER_HOME": str(home / "short" / "dagster"),
    }
    made = subprocess.run(command("materialize", "--select", "mixture"), env=there, check=False)
    assert made.returncode == 0
    # As the page does it: a run worker, and a process of its own for each step.
    page_run = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "pretrain"]
    worker = subprocess.Popen(
        [*page_run, "-m", "tagarela_dagster.definitions"],
        env=there,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    later = Road(load_recipe(longer), Home(home / "short"))
    known = set(road.checkpoints)
    wait_until(lambda: set(later.checkpoints) - known or worker.poll() is not None, 180)
    assert worker.poll() is None, "the training ended before it could be killed"
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    run = next(later.checkpoints[key] for key in later.checkpoints if key not in known).parents[1]
    wait_until(lambda: not processes_of(run), 30)
    done = len((run / "metrics.jsonl").read_text().splitlines())
    assert done < 120

    again = subprocess.run(
        command("materialize", "--select", "pretrain"),
        env=there,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 121))
    resumed = [line for line in (run / "log.txt").read_text().splitlines() if "from step" in line]
    assert "from step 0" in resumed[0]
    assert "from step 0" not in resumed[-1]


def processes_of(run: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(run) in line:
            found.append(line)
    return found


def wait_until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
