from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagarela_dagster.training.launching import devices
from tagarela_dagster.training.launching.devices import (
    LOCKS_VARIABLE,
    take_devices,
    visible_devices,
)
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.settings import Local
from tests.training.process_tree import processes_of, wait_until_gone

LAUNCHER = """
import sys
from pathlib import Path
from tagarela_dagster.training.launching.devices import take_devices
from tagarela_dagster.training.launching.launch import launch
from tagarela_dagster.training.launching.settings import Local
run = Path(sys.argv[1])
held = take_devices(1, Local(devices="a"), run)
command = [sys.executable, "-c", sys.argv[2], str(run), *sys.argv[3:]]
launch(command, run=run, devices=held, grace_seconds=0.5)
"""
RANK = """
import os, sys, time
from tagarela_dagster.training.launching.devices import hold_devices
hold_devices()
open(sys.argv[1] + "/sees-" + os.environ["CUDA_VISIBLE_DEVICES"], "w").close()
time.sleep(600)
"""
PARENT = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]], start_new_session=True).wait()
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGARELA_CACHE", str(tmp_path / "cache"))


def settings(names: str = "a", wait: float = 0) -> Local:
    return Local(devices=names, device_wait=wait)


def wait_for(path: Path, launcher: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline and launcher.poll() is None
        time.sleep(0.05)


def test_a_second_training_waits_then_is_refused_with_who_has_the_device(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(run), RANK])
    wait_for(run / "sees-a", launcher)
    (supervisor,) = (pid for pid, line in processes_of(run).items() if "supervise" in line)
    started = time.monotonic()
    with pytest.raises(TrainingError, match="1 of the devices a are wanted and 0 free") as refusal:
        take_devices(1, settings(wait=0.5), tmp_path / "other")
    assert time.monotonic() - started >= 0.5
    assert str(supervisor) in str(refusal.value) and f"training in {run}." in str(refusal.value)

    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    # Ending what the killed one has left takes some seconds, for which this waits.
    held = take_devices(1, settings(wait=15), tmp_path / "other")
    assert held.names == ("a",)
    held.release()
    assert wait_until_gone(run, 5) == {}


def test_an_orphan_keeps_its_device(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(run), PARENT, RANK])
    wait_for(run / "sees-a", launcher)
    # The rank is in a session of its own and watches nobody here: it outlives all the others.
    supervisor = next(pid for pid, line in processes_of(run).items() if "supervise" in line)
    for pid in (launcher.pid, supervisor):
        os.kill(pid, signal.SIGKILL)
    launcher.wait()
    time.sleep(1)
    (orphan,) = processes_of(run)
    with pytest.raises(TrainingError, match=f"a is held by process {orphan}, training in {run}"):
        take_devices(1, settings(), tmp_path / "other")
    os.kill(orphan, signal.SIGKILL)
    take_devices(1, settings(wait=5), tmp_path / "other").release()


def test_a_training_gets_as_many_free_devices_as_it_has_ranks(tmp_path: Path) -> None:
    first = take_devices(2, settings("a+b+c+d"), tmp_path)
    second = take_devices(2, settings("a+b+c+d"), tmp_path)
    assert (first.names, second.names) == (("a", "b"), ("c", "d"))
    first.release()
    with pytest.raises(TrainingError, match="4 of the devices a, b, c, d are wanted and 2 free: c"):
        take_devices(4, settings("a+b+c+d"), tmp_path)
    assert second.environment()["CUDA_VISIBLE_DEVICES"] == "c,d"
    assert len(second.environment()[LOCKS_VARIABLE].split(os.pathsep)) == 2
    second.release()


def test_more_ranks_than_devices_are_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"8 ranks for 2 GPUs \(a, b\)"):
        take_devices(8, settings("a+b"), tmp_path)


def test_one_training_at_a_time_on_the_cpu_only_where_that_is_asked_for(tmp_path: Path) -> None:
    held = take_devices(4, settings("cpu"), tmp_path)
    assert held.environment()["CUDA_VISIBLE_DEVICES"] == ""
    with pytest.raises(TrainingError, match="cpu is held by"):
        take_devices(2, settings("cpu"), tmp_path)
    held.release()


def test_gpus_are_those_that_nvidia_smi_lists_and_the_environment_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    tool.write_text("#!/bin/sh\necho '0, GPU-aa'\necho '1, GPU-bb'\necho '2, GPU-cc'\n")
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_devices() == ["GPU-aa", "GPU-bb", "GPU-cc"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-aa")
    assert visible_devices() == ["GPU-cc", "GPU-aa"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_devices() == []
    assert devices.take_devices(8, Local(), tmp_path).names == ()


def test_an_nvidia_smi_that_fails_is_told_and_one_without_a_gpu_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tool = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    tool.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    tool.chmod(0o755)
    assert visible_devices() == [] and caplog.messages == []
    tool.write_text("#!/bin/sh\necho 'Driver/library version mismatch'\nexit 18\n")
    assert visible_devices() == []
    [told] = caplog.messages
    assert told.startswith("nvidia-smi ended with status 18 (Driver/library version mismatch): no ")
