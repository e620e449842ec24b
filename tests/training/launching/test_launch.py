from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagarela_dagster.training.launching.environment import remove_stale_locks, training_environment
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.launch import launch
from tests.training.process_tree import processes_of, wait_until_gone

STUBBORN = """
import signal, subprocess, sys, time
# Like torchrun's ranks: sessions of their own; and deaf to SIGTERM.
rank = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
rank += "open(sys.argv[1] + '/rank-' + sys.argv[2], 'w').close(); time.sleep(600)"
for number in "01":
    subprocess.Popen([sys.executable, "-c", rank, sys.argv[1], number], start_new_session=True)
time.sleep(600)
"""
"""A command that leaves two grandchildren behind, whatever it is sent."""

LAUNCHER = """
import sys
from pathlib import Path
from tagarela_dagster.training.launching.launch import launch
run, command = Path(sys.argv[1]), sys.argv[2]
launch([sys.executable, "-c", command, str(run)], run=run, grace_seconds=0.5)
"""


def start_stubborn(run: Path) -> subprocess.Popen[bytes]:
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(run), STUBBORN])
    deadline = time.monotonic() + 30
    while not all((run / f"rank-{n}").exists() for n in "01"):
        assert time.monotonic() < deadline and launcher.poll() is None
        time.sleep(0.05)
    # Launcher, supervisor, command, two ranks.
    assert len(processes_of(run)) == 5
    return launcher


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_whatever_ends_the_launcher_ends_everything_below_it(
    number: signal.Signals, tmp_path: Path
) -> None:
    launcher = start_stubborn(tmp_path)
    launcher.send_signal(number)
    launcher.wait(30)
    assert wait_until_gone(tmp_path, 15) == {}


def test_even_the_supervisor_may_be_killed(tmp_path: Path) -> None:
    """The command dies with it; ranks that watch their parent (here they don't) would follow."""
    launcher = start_stubborn(tmp_path)
    before = processes_of(tmp_path)
    (supervisor,) = (pid for pid, line in before.items() if "launching.supervise" in line)
    os.kill(supervisor, signal.SIGKILL)
    assert launcher.wait(30) == 1
    left = processes_of(tmp_path)
    assert len(left) == 2, "the command must not outlive its supervisor"
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert wait_until_gone(tmp_path, 5) == {}


def test_what_a_poll_raises_ends_the_run_and_goes_on(tmp_path: Path) -> None:
    def poll() -> None:
        if (tmp_path / "rank-1").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(
            [sys.executable, "-c", STUBBORN, str(tmp_path)],
            run=tmp_path,
            on_poll=poll,
            poll_seconds=0.1,
            grace_seconds=0.5,
        )
    assert wait_until_gone(tmp_path, 5) == {}


def test_orphans_of_a_command_that_has_ended_are_ended_too(tmp_path: Path) -> None:
    launch(
        [sys.executable, "-c", STUBBORN.rsplit("time.sleep", 1)[0], str(tmp_path)],
        run=tmp_path,
        grace_seconds=0.5,
    )
    assert processes_of(tmp_path) == {}


def test_a_failure_shows_the_end_of_its_own_log(tmp_path: Path) -> None:
    command = "print('sem memória'); raise SystemExit(3)"
    (tmp_path / "log.txt").write_text("an older run\n")
    with pytest.raises(TrainingError, match="ended with status 3") as failure:
        launch([sys.executable, "-c", command], run=tmp_path)
    assert "sem memória" in str(failure.value)
    assert "an older run" not in str(failure.value)


def test_a_rank_says_why_in_one_sentence(tmp_path: Path) -> None:
    command = (
        "from tagarela_dagster.training.launching.failure import TrainingError, told\n"
        "with told(): raise TrainingError('the loss is nan: lower learning_rate')"
    )
    with pytest.raises(TrainingError, match=r"^the loss is nan: lower learning_rate\nThe log is"):
        launch([sys.executable, "-c", command], run=tmp_path)


def test_children_find_the_tools_of_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = training_environment(10_000)
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert found["OMP_NUM_THREADS"] == "1"


def test_a_lock_that_nobody_holds_is_removed_before_a_launch(tmp_path: Path) -> None:
    for name in ("stale", "held"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").touch()
    with (tmp_path / "held" / "lock").open():
        assert remove_stale_locks(tmp_path) == [tmp_path / "stale" / "lock"]
    assert remove_stale_locks(tmp_path) == [tmp_path / "held" / "lock"]
