"""Twenty SIGKILLs at random moments of a 2-rank ZeRO run, and the losses of one that had none.

Each of ``WHO`` is killed twice before the first new step (while supervisor and torchrun start,
ranks import and read their checkpoint) and twice some steps after it, where saves are nearly always
under way.
TAGARELA_KILLS sets another number, TAGARELA_SEED other moments.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.launching.log import LOG_NAME
from tagarela_dagster.training.launching.run_folder import read_result
from tagarela_dagster.training.mixing.sampler import open_sampler
from tagarela_dagster.training.stage import MODULE, StageRun, run_stage
from tagarela_dagster.training.tracking.metrics import METRICS_NAME, read_metrics
from tests.training.process_tree import MARK, marked, wait_until_unmarked
from tests.training.tiny_run import CONTEXT, tiny_run

pytestmark = pytest.mark.train

KILLS = int(os.environ.get("TAGARELA_KILLS", "20"))
EVERY = 4
STEPS = 40 + 8 * KILLS
START_SECONDS = 7.0
"""About what it takes from the command to the first step on a quiet machine."""
NEW_STEPS = 10
"""At most so many are waited for before a kill."""
ALL = "everything"
WHO = ("rank", "torchrun", "supervisor", "launcher", ALL)
MODULES = {"supervise": "supervisor", "distributed.run": "torchrun", "launching.rank": "rank"}


@dataclass(frozen=True)
class Kill:
    """What was killed, when, and what it left.

    Attributes:
        moment: ``start``: before a new step; ``steps``: after one.
        ranks: how many there were.
        lost: steps after the newest checkpoint, which the next launch trains again.
        cut: whether a half-written checkpoint was left.
    """

    who: str
    moment: str
    ranks: int
    lost: int
    cut: bool
    seconds: float


def command(run: StageRun) -> list[str]:
    recipe = run.out.parent / f"{run.out.name}.yaml"
    recipe.write_text(json.dumps(run.recipe.as_json()))
    arguments = ["--recipe", str(recipe), "--scale", "full", "--stage", run.name]
    for role, path in run.inputs.items():
        arguments += ["--input", f"{role}={path}"]
    return [sys.executable, "-m", MODULE, *arguments, "--out", str(run.out)]


def by_duty(mark: str) -> dict[str, list[int]]:
    """Live processes of the run by what they are; the outer one's name stands first."""
    found: dict[str, list[int]] = {}
    for pid, line in sorted(marked(mark).items()):
        module = line.partition(" -m ")[2].partition(" ")[0]
        duty = next((duty for end, duty in MODULES.items() if module.endswith(end)), "launcher")
        found.setdefault(duty, []).append(pid)
    return found


def new_steps(run: Path, log_start: int, before: int) -> int:
    """Steps that this launch has done after the ``before`` of its checkpoint."""
    log, metrics = run / LOG_NAME, run / METRICS_NAME
    if not log.exists() or b"from step" not in log.read_bytes()[log_start:]:
        return 0  # until its ranks have taken the metrics back, lines are the last launch's
    return metrics.read_bytes().count(b"\n") - before if metrics.exists() else 0


def kill(run: StageRun, mark: str, draw: random.Random, moment: str, who: str) -> Kill:
    """Start or resume the run, and kill a part of it; returns once nothing of it is left."""
    began = time.monotonic()
    before = checkpoints.resumable_step(run.out)
    log = run.out / LOG_NAME
    log_start = log.stat().st_size if log.exists() else 0
    launcher = subprocess.Popen(
        command(run),
        env={**os.environ, MARK: mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wanted = draw.randint(1, NEW_STEPS) if moment == "steps" else 1
    wait = 120 if moment == "steps" else draw.uniform(0.1, START_SECONDS)
    deadline = time.monotonic() + wait
    tree: dict[str, list[int]] = {}
    while (done := new_steps(run.out, log_start, before)) < wanted:
        assert launcher.poll() is None, log.read_text()[-2000:]
        if time.monotonic() > deadline and (who in (tree := by_duty(mark)) or who == ALL):
            break
        time.sleep(0.005)
    else:
        time.sleep(draw.uniform(0, 0.04))
        tree = by_duty(mark)
    chosen = sum(tree.values(), []) if who == ALL else [draw.choice(tree[who])]
    for pid in chosen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    launcher.wait(60)
    assert wait_until_unmarked(mark, 20) == {}, f"left after a kill of {who}"
    assert read_result(run.out) is None, "the run must not end before its kills: more STEPS"
    lost = len(read_metrics(run.out)) - checkpoints.resumable_step(run.out)
    cut = any((run.out / checkpoints.CHECKPOINTS).glob(f"{checkpoints.PARTIAL}*"))
    found = "steps" if done else "start"
    return Kill(who, found, len(tree.get("rank", [])), lost, cut, time.monotonic() - began)


def trained(rows: list[dict[str, Any]]) -> list[list[Any]]:
    same = ("step", "loss", "gradient_norm", "learning_rate", "tokens", "tokens_per_source")
    return [[row[name] for name in same] for row in rows]


def test_twenty_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, steps=STEPS, checkpoint_every=EVERY, zero_stage=2)
    undisturbed = replace(run, out=tmp_path / "undisturbed")
    result = run_stage(undisturbed)
    wanted = read_metrics(undisturbed.out)

    draw = random.Random(int(os.environ.get("TAGARELA_SEED", "20261121")))
    each = [(who, moment) for who in WHO for moment in ("start", "steps")]
    planned = [each[number % len(each)] for number in range(KILLS)]
    draw.shuffle(planned)
    kills = []
    for number, (who, moment) in enumerate(planned):
        last = checkpoints.resumable_step(run.out)
        kills.append(kill(run, f"{tmp_path}-{number}", draw, moment, who))
        assert checkpoints.resumable_step(run.out) >= last, "a published checkpoint was lost"
        found = read_metrics(run.out)
        assert trained(found) == trained(wanted[: len(found)]), kills[-1]
    assert run_stage(run)["account"] == result["account"]

    found = read_metrics(run.out)
    assert trained(found) == trained(wanted)
    sampler = open_sampler(run.inputs["mixture"], run.inputs["lake"])
    consumed = {row["step"]: row["tokens_per_cell"] for row in found if "tokens_per_cell" in row}
    sequences = run.section.step_sequences
    assert consumed == {
        step: sampler.consumed(sequences * step) for step in range(EVERY, STEPS + 1, EVERY)
    }
    assert found[-1]["tokens"] == STEPS * sequences * CONTEXT
    mine, theirs = (checkpoints.published(r.out) for r in (run, undisturbed))
    assert [c.step for c in mine] == [c.step for c in theirs] == list(consumed)
    for one, other in zip(mine, theirs, strict=True):
        files = [c.model / "model.safetensors" for c in (one, other)]
        assert files[0].read_bytes() == files[1].read_bytes()

    (tmp_path / "kills.txt").write_text("\n".join(map(str, kills)))
    if KILLS >= 20:
        # The record: kills really fell everywhere.
        assert {(k.who, k.moment) for k in kills} == set(each)
        started = [k for k in kills if k.moment == "start"]
        assert any(k.ranks == 0 for k in started) and any(k.ranks > 0 for k in started), kills
        stepped = [k for k in kills if k.moment == "steps"]
        assert sum(k.lost > 0 for k in stepped) >= 5, kills
        assert sum(k.cut for k in stepped) >= 3, kills
