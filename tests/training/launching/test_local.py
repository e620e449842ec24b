"""Ranks on this machine, by torchrun: what happens when any part of them dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tagarela_dagster.training.launching.backend import run_ranks
from tagarela_dagster.training.launching.failure import TrainingError
from tests.training.launching.ranks import MODULE
from tests.training.process_tree import processes_of, wait_until_gone

pytestmark = pytest.mark.train
LAUNCHER = """
import sys
from pathlib import Path
from tagarela_dagster.training.launching.backend import run_ranks
from tagarela_dagster.training.launching.failure import TrainingError
run, *more = sys.argv[1:]
try:
    run_ranks("tests.training.launching.ranks", [run, *more], run=Path(run), processes=2)
except TrainingError as error:
    sys.exit(str(error))
"""


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAGARELA_TRAINER", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def steps(run: Path) -> list[int]:
    lines = (run / "steps.jsonl").read_text().splitlines() if (run / "steps.jsonl").exists() else []
    return [json.loads(line)["step"] for line in lines]


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ranks_of(run: Path) -> list[int]:
    """Processes that are ranks, and none of those that start them."""
    others = ("distributed.run", "supervise", "run_ranks(")
    found = processes_of(run).items()
    return sorted(pid for pid, line in found if not any(word in line for word in others))


def test_settings_say_how_many_ranks_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", "processes=1,devices=cpu")
    monkeypatch.setenv("TAGARELA_CACHE", str(tmp_path / "cache"))
    run_ranks(MODULE, [str(tmp_path), "2"], run=tmp_path, processes=2)
    assert json.loads((tmp_path / "result.json").read_text()) == {"steps": 2, "world": 1}


def test_a_killed_rank_is_named_the_others_end_and_the_run_goes_on(tmp_path: Path) -> None:
    killed = []

    def kill_one() -> None:
        if not killed and len(steps(tmp_path)) >= 2:
            killed.append(ranks_of(tmp_path)[1])
            os.kill(killed[0], signal.SIGKILL)

    arguments = [str(tmp_path), "1000", "0.05"]
    with pytest.raises(TrainingError) as failure:
        run_ranks(MODULE, arguments, run=tmp_path, processes=2, on_poll=kill_one)
    assert str(failure.value).startswith("rank ")
    assert f"(process {killed[0]}) was killed by SIGKILL" in str(failure.value)
    assert wait_until_gone(tmp_path, 5) == {}


def test_ranks_that_are_asked_to_stop_save_and_a_new_launch_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path), "1000", "0.05"]
    launcher = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(steps(tmp_path)) >= 2)
    supervisor = next(p for p, line in processes_of(tmp_path).items() if "supervise" in line)
    os.kill(supervisor, signal.SIGUSR1)
    _, error = launcher.communicate(timeout=30)
    saved = int((tmp_path / "checkpoint").read_text())
    assert f"the training was asked to stop, and saved step {saved}: start it again" in error
    run_ranks(MODULE, [str(tmp_path), str(saved + 2)], run=tmp_path, processes=2)
    assert steps(tmp_path) == list(range(1, saved + 3))
    assert wait_until_gone(tmp_path, 5) == {}


def test_no_process_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path), "1000", "0.05"]
    launcher = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(steps(tmp_path)) >= 1)
    supervisor = next(p for p, line in processes_of(tmp_path).items() if "supervise" in line)
    os.kill(supervisor, signal.SIGKILL)
    assert launcher.wait(30) == 1
    assert wait_until_gone(tmp_path, 15) == {}


def test_a_second_training_in_the_folder_is_refused_until_the_first_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAIT", "0.5")
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path), "1000", "0.05"]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(steps(tmp_path)) >= 1)
    tree = processes_of(tmp_path)
    with pytest.raises(TrainingError, match="in use by another training: wait for it, or end it"):
        run_ranks(MODULE, [str(tmp_path), "3"], run=tmp_path, processes=1)
    assert first.poll() is None and processes_of(tmp_path).keys() == tree.keys()
    for pid in tree:
        os.kill(pid, signal.SIGKILL)
    first.wait()
    assert wait_until_gone(tmp_path, 5) == {}
