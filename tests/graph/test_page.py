"""The page as a user opens it: ``tagarela ui`` in a process of its own, seen through Chromium."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.resources.two_sources import PARAGRAPHS, write_recipe, write_snapshot

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_SECONDS = 120
"""Only to end a test that hangs: other work may share the cores."""
STOP_SECONDS = 60
LOCATION = "__repository__@tagarela_dagster.definitions"
GROUPS = {
    "sources": {"jornal", "diario"},
    "corpus": {
        "documents",
        "measured",
        "signatures",
        "filtered",
        "clusters",
        "deduped",
        "clean",
        "contamination",
        "card",
    },
    "tokens": {"tokenizer", "tokens", "mixture"},
    "training": {"pretrain", "checkpoints"},
    "evals": {"benchmarks", "held_out", "scores"},
}
WORKSPACE = """
query { workspaceOrError { ... on Workspace { locationEntries {
  name loadStatus
  locationOrLoadError {
    ... on PythonError { message }
    ... on RepositoryLocation { repositories {
      name
      assetGroups { groupName assetKeys { path } }
      schedules { name scheduleState { status } }
      sensors { name sensorState { status } }
      jobs { name }
    } }
  }
} } } }
"""
PARTITIONS = """
query { assetNodeOrError(assetKey: {path: ["documents"]}) { ... on AssetNode {
  partitionKeys
} } }
"""


@dataclass(frozen=True)
class Ui:
    """A running ``tagarela ui``."""

    process: subprocess.Popen[str]
    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, query: str) -> Any:
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)["data"]

    def answers(self) -> bool:
        assert self.process.poll() is None, "tagarela ui has ended"
        try:
            return bool(self.ask("query { version }")["version"])
        except OSError:
            return False


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.2)


def processes_of(home: Path) -> list[int]:
    """Processes that were started with this TAGARELA_HOME."""
    mark = f"TAGARELA_HOME={home}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    folder = tmp_path_factory.mktemp("page")
    write_snapshot(folder, "diario@2026-01", PARAGRAPHS[:3])
    write_snapshot(folder, "jornal@2026-01", PARAGRAPHS[3:6])
    home = folder / "home"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tagarela_dagster.cli", "ui", "--port", str(port)]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*command, "--recipe", str(write_recipe(folder))],
            env={**os.environ, "TAGARELA_HOME": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            # What a shell does to a command that it starts with "&".
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        )
    try:
        started = Ui(process, home, port)
        wait_until(started.answers, START_SECONDS)
        yield started
    finally:
        for pid in processes_of(home):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def test_the_location_loads_with_every_group_job_schedule_and_sensor(ui: Ui) -> None:
    wait_until(
        lambda: (
            ui.ask(WORKSPACE)["workspaceOrError"]["locationEntries"][0]["loadStatus"] == "LOADED"
        ),
        START_SECONDS,
    )
    [entry] = ui.ask(WORKSPACE)["workspaceOrError"]["locationEntries"]
    location = entry["locationOrLoadError"]
    assert "message" not in location, location
    [repository] = location["repositories"]
    groups = {
        group["groupName"]: {key["path"][0] for key in group["assetKeys"]}
        for group in repository["assetGroups"]
    }
    assert groups == GROUPS
    assert repository["schedules"] == [
        {"name": "nightly_refresh", "scheduleState": {"status": "RUNNING"}}
    ]
    assert repository["sensors"] == [
        {"name": "evaluate_new_checkpoints", "sensorState": {"status": "RUNNING"}}
    ]
    jobs = {job["name"] for job in repository["jobs"]}
    assert {"demo", "corpus", "train", "evaluate"} <= jobs


def test_the_snapshots_can_be_chosen_before_anything_has_run(ui: Ui) -> None:
    found = ui.ask(PARTITIONS)["assetNodeOrError"]["partitionKeys"]
    assert found == ["diario@2026-01", "jornal@2026-01"]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
def test_groups_and_assets_show_in_the_browser(ui: Ui) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 2100, "height": 900})
            page.set_default_timeout(START_SECONDS * 1000)
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{ui.url}/asset-groups")
            for group in GROUPS:
                page.get_by_text(group, exact=True).first.wait_for()
            for group in ("sources", "corpus"):
                page.goto(f"{ui.url}/locations/{LOCATION}/asset-groups/{group}/lineage")
                for asset in GROUPS[group]:
                    page.get_by_text(asset, exact=True).first.wait_for()
            page.goto(f"{ui.url}/deployment/locations")
            page.get_by_text("Loaded", exact=True).first.wait_for()
        finally:
            browser.close()
        assert errors == []


def test_the_end_of_the_command_is_the_end_of_every_process_of_it(ui: Ui) -> None:
    assert len(processes_of(ui.home)) > 3, "server, daemon and code server run"
    ui.process.send_signal(signal.SIGTERM)
    assert ui.process.wait(STOP_SECONDS) == 0
    wait_until(lambda: not processes_of(ui.home), STOP_SECONDS)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", ui.port))
