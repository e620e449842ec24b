"""Ranks on a real Slurm of two nodes, from Debian's packages, on this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tagarela_dagster.training.launching.backend import is_running, run_ranks
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.rank import MODULE as RANK
from tagarela_dagster.training.stage import run_stage
from tagarela_dagster.training.tracking.metrics import read_metrics
from tests import slurm_cluster
from tests.training.launching.ranks import MODULE
from tests.training.process_tree import processes_of, wait_until_gone
from tests.training.test_kills import command
from tests.training.tiny_run import tiny_run

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(bool(slurm_cluster.missing()), reason=str(slurm_cluster.missing())),
]
LAUNCHER = """
import logging, sys
from pathlib import Path
from tagarela_dagster.training.launching.backend import run_ranks
logging.basicConfig(level=logging.INFO)
run, *more = sys.argv[1:]
run_ranks("tests.training.launching.ranks", [run, *more], run=Path(run), processes=2)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm_cluster.two_nodes(tmp_path_factory.mktemp("slurm") / "cluster") as environment:
        yield environment


@pytest.fixture(autouse=True)
def on_slurm(cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, cluster[name])
    monkeypatch.setenv("TAGARELA_TRAINER", "slurm")
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", "nodes=2,time=00:10:00,poll=0.5,patience=20")
    monkeypatch.setenv("WAIT", "2")


def steps(run: Path) -> list[int]:
    path = run / "steps.jsonl"
    return (
        [json.loads(line)["step"] for line in path.read_text().splitlines()]
        if path.exists()
        else []
    )


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def job_of(run: Path) -> str:
    return json.loads((run / "slurm.json").read_text())["job"]


def squeue(*options: str) -> str:
    command = ["squeue", "--noheader", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def launcher(run: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LAUNCHER, str(run), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_rank_says_why_it_failed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^the loss is nan: lower learning_rate\nSlurm job \d"):
        run_ranks(MODULE, [str(tmp_path), "9", "0.1", "fail"], run=tmp_path, processes=2)
    assert wait_until_gone(tmp_path, 5) == {}


def test_a_job_outlives_its_launcher_goes_on_after_preemption_and_names_the_rank_that_died(
    tmp_path: Path,
) -> None:
    run = tmp_path / "a run 100%"
    first = launcher(run, "10000", "0.1")
    wait_until(lambda: len(steps(run)) >= 2)
    job = job_of(run)
    first.kill()
    first.wait()
    # As if it had been killed just after sbatch, before it wrote the number.
    record = json.loads((run / "slurm.json").read_text())
    (run / "slurm.json").write_text(json.dumps({**record, "job": None}))
    assert is_running(run)
    log = (run / "log.txt").read_text()
    assert "rank 0 of 2 from step 0 on n1" in log and "rank 1 of 2 from step 0 on n2" in log
    script = (run / "slurm.sh").read_text()
    assert "#SBATCH --ntasks=2" in script and "#SBATCH --signal=B:USR1@120" in script
    second = launcher(run, "10000", "0.1")

    # What Slurm sends before a limit, and to a job that it preempts.
    subprocess.run(["scancel", "--batch", "--signal=USR1", job], check=True)
    wait_until((run / "checkpoint").exists)
    saved = int((run / "checkpoint").read_text())
    wait_until(lambda: len(steps(run)) > saved + 2)
    log = (run / "log.txt").read_text()
    assert f"job {job} has saved and goes into the queue again" in log
    assert f"Slurm job {job}, restart 1" in log and f"from step {saved} on n2" in log

    for pid in processes_of(run):
        if b"SLURM_PROCID=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            os.kill(pid, signal.SIGKILL)
    _, error = second.communicate(timeout=60)
    assert re.search(rf"job {job} \([A-Z]+\) is followed again", error)
    assert "rank 1 on n2 was killed by SIGKILL: out of memory?; its log" in error
    rows = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    done = [{"step": n, "sum": 3.0} for n in range(1, len(rows) + 1)]
    assert rows == done, "no step is lost, none is done twice"
    assert wait_until_gone(run, 15) == {}


def test_a_job_started_twice_is_refused_and_sigterm_to_the_launcher_cancels_the_first(
    tmp_path: Path,
) -> None:
    first = launcher(tmp_path, "10000", "0.1")
    wait_until(lambda: len(steps(tmp_path)) >= 2)
    job = job_of(tmp_path)
    # Slurm has been seen to start a job again under its number, restart count 0.
    twin = {"JOB_ID": job, "PROCID": "0", "LOCALID": "0", "NTASKS": "1", "NNODES": "1"}
    answer = subprocess.run(
        [*(sys.executable, "-m", RANK), MODULE, str(tmp_path), "10000"],
        env={**os.environ, **{f"SLURM_{name}": value for name, value in twin.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1 and "in use by another training" in answer.stderr
    done = len(steps(tmp_path))
    wait_until(lambda: len(steps(tmp_path)) > done + 2)

    first.terminate()
    assert first.wait(60) == 143
    assert squeue("--states=all", f"--jobs={job}", "--format=%T") == "CANCELLED"
    assert wait_until_gone(tmp_path, 5) == {}
    # In the seconds that Slurm gives them, ranks save before they end.
    assert int((tmp_path / "checkpoint").read_text()) == steps(tmp_path)[-1]


def test_a_refusal_of_sbatch_is_an_error_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", "nodes=2,partition=gpu")
    with pytest.raises(TrainingError, match=r"sbatch refused .*slurm.sh: .*invalid partition"):
        run_ranks(MODULE, [str(tmp_path), "1"], run=tmp_path, processes=2)
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", "nodes=2")
    with pytest.raises(TrainingError, match="3 ranks cannot be divided over 2 nodes"):
        run_ranks(MODULE, [str(tmp_path), "1"], run=tmp_path, processes=3)


def test_a_pretraining_that_loses_its_launcher_and_is_preempted_has_the_losses_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tiny_run(tmp_path / "alone", steps=600, checkpoint_every=600)
    monkeypatch.setenv("TAGARELA_TRAINER", "local")
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", "")
    run_stage(alone)

    run = replace(alone, out=tmp_path / "run")
    monkeypatch.setenv("TAGARELA_TRAINER", "slurm")
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", "nodes=2,poll=0.2")
    launcher = subprocess.Popen(command(run), stdout=subprocess.DEVNULL)
    wait_until(lambda: bool(read_metrics(run.out)), 120)
    launcher.kill()
    launcher.wait()
    first = job_of(run.out)
    assert is_running(run.out)
    asked: list[str] = []

    def preempt() -> None:
        # The job that runs on is followed: nobody has taken its metrics back or started another.
        if not asked:
            assert read_metrics(run.out)
            asked.append(job_of(run.out))
            subprocess.run(["scancel", "--batch", "--signal=USR1", asked[0]], check=True)

    result = run_stage(run, on_poll=preempt)
    assert not (run.out / "slurm.json").exists() and not is_running(run.out)
    log = (run.out / "log.txt").read_text()
    assert f"job {asked[0]} has saved" in log and f"Slurm job {asked[0]}, restart 1" in log
    assert asked == [first]
    assert result["steps"] == 600 and len(result["checkpoints"]) == 2
    rows, expected = read_metrics(run.out), read_metrics(alone.out)
    assert [row["loss"] for row in rows] == [row["loss"] for row in expected]
    assert [row["tokens"] for row in rows] == [row["tokens"] for row in expected]
