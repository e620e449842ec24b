"""A training that is started and ended from the page."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.recipe import load_recipe
from tagarela_dagster.resources.home import Home
from tagarela_dagster.resources.road import Road
from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.tracking.metrics import read_metrics
from tests.graph.test_page import LOCATION, START_SECONDS, Ui, processes_of, wait_until
from tests.training.process_tree import wait_until_gone

pytestmark = pytest.mark.train

STEPS = 120
LAUNCH = """
mutation { launchRun(executionParams: {
  selector: {
    repositoryLocationName: "tagarela_dagster.definitions", repositoryName: "__repository__",
    jobName: "__ASSET_JOB", assetSelection: [{path: ["pretrain"]}], assetCheckSelection: []
  }
  mode: "default"
}) {
  __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on PythonError { message }
} }
"""
TERMINATE = 'mutation {{ terminateRun(runId: "{}") {{ __typename }} }}'
STATUS = 'query {{ runOrError(runId: "{}") {{ ... on Run {{ status }} }} }}'


def tagarela(folder: Path, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "tagarela_dagster.cli", *arguments]
    return [*command, "--recipe", str(folder / "long.yaml")]


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The page over everything that a training reads."""
    folder: Path = tmp_path_factory.mktemp("page")
    (folder / "long.yaml").write_text(
        f"extends: {Path(__file__).with_name('short.yaml')}\nname: long\n"
        f"training: {{pretrain: {{steps: {STEPS}, checkpoint_every: 20}}}}\n"
    )
    environment = {**os.environ, "TAGARELA_HOME": str(folder / "home")}
    made = subprocess.run(
        tagarela(folder, "materialize", "--select", "+mixture"),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            tagarela(folder, "ui", "--port", str(port)),
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    started = Ui(process, folder / "home", port)
    try:
        wait_until(started.answers, START_SECONDS)
        yield started
    finally:
        for pid in processes_of(started.home):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def launch(ui: Ui) -> str:
    told: dict[str, Any] = {}

    def launched() -> bool:
        # The location may still be loading.
        told.update(ui.ask(LAUNCH)["launchRun"])
        return told["__typename"] == "LaunchRunSuccess"

    wait_until(launched, START_SECONDS)
    return told["run"]["runId"]


def status(ui: Ui, run_id: str) -> str:
    return ui.ask(STATUS.format(run_id))["runOrError"]["status"]


def test_a_training_terminated_on_the_page_ends_and_goes_on_when_started_there_again(
    ui: Ui,
) -> None:
    recipe = load_recipe(ui.home.parent / "long.yaml")
    run = Road(recipe, Home(ui.home / "long")).run_folder("pretrain")
    first = launch(ui)
    wait_until(lambda: checkpoints.resumable_step(run) >= 20, START_SECONDS)
    answer = ui.ask(TERMINATE.format(first))["terminateRun"]["__typename"]
    assert answer == "TerminateRunSuccess"
    wait_until(lambda: status(ui, first) == "CANCELED", START_SECONDS)
    assert wait_until_gone(run, 30) == {}
    done = checkpoints.resumable_step(run)
    assert 20 <= done < STEPS
    assert not (run / "result.json").exists()

    again = launch(ui)
    wait_until(lambda: status(ui, again) not in ("QUEUED", "STARTING", "STARTED"), 300)
    assert status(ui, again) == "SUCCESS"
    assert [row["step"] for row in read_metrics(run)] == list(range(1, STEPS + 1))
    starts = [line for line in (run / "log.txt").read_text().splitlines() if "from step" in line]
    assert starts[-1].endswith(f"from step {done}")
    assert LOCATION.endswith("tagarela_dagster.definitions")
