from __future__ import annotations

import errno
import fcntl
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagarela_dagster.training.launching import fence
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.fence import LEASE_NAME, RunLock, check_fence

HOLD = """
import sys, time
from pathlib import Path
from tagarela_dagster.training.launching.fence import RunLock
RunLock(Path(sys.argv[1])).take()
print("taken", flush=True)
time.sleep(600)
"""


def held_elsewhere(run: Path, seconds_ago: float) -> None:
    """A lease that another node's job has renewed some seconds ago."""
    holder = {
        "token": "x",
        "pid": 4711,
        "started": "1",
        "host": "n2",
        "place": "n2 boot pid",
        "about": {"Slurm job": "12", "restart": "0"},
        "renewed": time.time() - seconds_ago,
    }
    (run / LEASE_NAME).write_text(json.dumps(holder))


def test_a_folder_that_a_job_on_another_node_has_is_refused_by_name(tmp_path: Path) -> None:
    held_elsewhere(tmp_path, seconds_ago=5)
    lock = RunLock(tmp_path)
    with pytest.raises(TrainingError, match=r"process 4711 on n2, Slurm job 12, restart 0"):
        lock.take(0)
    lock.release()


def test_a_lease_that_nobody_renews_runs_out(tmp_path: Path) -> None:
    held_elsewhere(tmp_path, seconds_ago=fence.LEASE_SECONDS + 1)
    lock = RunLock(tmp_path)
    lock.take(0)
    check_fence(tmp_path)
    lock.release()
    assert not (tmp_path / LEASE_NAME).exists()


def test_who_lost_the_folder_publishes_nothing_any_more(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    lock.take(0)
    held_elsewhere(tmp_path, seconds_ago=0)
    with pytest.raises(TrainingError, match="taken over by another writer: this training publishe"):
        check_fence(tmp_path)
    lock.release()
    # What the other one holds is left to it.
    assert json.loads((tmp_path / LEASE_NAME).read_text())["host"] == "n2"


def test_a_killed_training_of_this_machine_leaves_the_folder_free_at_once(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout and holder.stdout.readline() == "taken\n"
    lock = RunLock(tmp_path)
    with pytest.raises(TrainingError, match="in use by another training"):
        lock.take(0)
    holder.kill()
    holder.wait()
    lock.take(0)
    lock.release()


def test_where_files_cannot_be_locked_the_lease_fences_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setattr(fence, "SETTLE_SECONDS", 0.01)
    first, second = RunLock(tmp_path), RunLock(tmp_path)
    first.take(0)
    with pytest.raises(TrainingError, match="being written by process"):
        second.take(0)
    first.release()
    second.take(0)
    second.release()
