"""Kills whole stages at chosen moments: forks of one process that has imported everything.

    python -m tests.training.kill_points PLAN.json

A launch costs ten seconds, nearly all of it imports; a fork costs none. Each attempt is a rank of
its own (world size 1) that SIGKILLs itself at its n-th change of the run folder (a file opened for
writing, a rename, a removal: Python's audit events), or some milliseconds after it, when another
thread or native code is at work. Before that it once finds the disk full. PLAN.json: a list of
{recipe, name, inputs, out, kills, seed}. Below ``out``: ``whole`` is the undisturbed run,
``killed`` the other; ``kills.json`` what happened.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tagarela_dagster.recipe import Recipe
from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.launching.failure import (
    FAILURE_VARIABLE,
    TrainingError,
    read_outcome,
    told,
)
from tagarela_dagster.training.launching.run_folder import RESULT_NAME
from tagarela_dagster.training.stage import StageRun, train_rank

REPORT = "kills.json"
MOVES = ("os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate", "os.mkdir")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
ROOM = 60_000
"""Bytes that a file may have where the disk is full: less than the weights of any model here."""
LATER = 0.02
"""Seconds after an event within which half of the kills fall."""


@dataclass
class Attempt:
    """One start that was to be killed.

    Attributes:
        moves: whether only renames and removals are counted.
        event: the change before which, or shortly after which, it is killed.
        name: what the event is, and of which file.
        finished: whether the stage was done before that.
        damage: what is published and not whole; None if all is well.
    """

    moves: bool
    event: int
    delay: float
    name: str = ""
    finished: bool = False
    damage: str | None = None


def watch(out: Path, on_change: Callable[[str, str, bool], None]) -> None:
    """Call ``on_change(event, path, move)`` before each change below ``out``; cannot be undone."""
    root = f"{out}{os.sep}"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        moves = event in MOVES
        if not moves and event != "open":
            return
        path = arguments[0]
        if isinstance(path, int) or path is None or not os.fsdecode(path).startswith(root):
            return
        if moves or arguments[2] & WRITING:
            on_change(event, os.fsdecode(path).removeprefix(root), moves)

    sys.addaudithook(hook)


def forked(run: StageRun, prepare: Callable[[], None], end: Callable[[], None]) -> int:
    """Train in a process of its own; its wait status."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    status = 1
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        place = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
        os.environ.update(place, MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        prepare()
        with told():
            train_rank(run)
        end()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def count(run: StageRun) -> tuple[int, int]:
    """Train undisturbed; number of changes, and of moves among them."""
    seen = [0, 0]
    notes = run.out.parent / "events.json"

    def on_change(event: str, path: str, move: bool) -> None:
        seen[0] += 1
        seen[1] += move

    status = forked(run, lambda: watch(run.out, on_change), lambda: _write(notes, seen))
    if status:
        raise SystemExit(f"{run.name} fails undisturbed")
    return tuple(json.loads(notes.read_text()))


def kill(run: StageRun, attempt: Attempt) -> None:
    """Train, and be killed at the attempt's moment."""
    seen = [0]
    notes = run.out.parent / "moment.txt"
    notes.write_text("not reached")

    def on_change(event: str, path: str, move: bool) -> None:
        seen[0] += move or not attempt.moves
        if seen[0] != attempt.event:
            return
        seen[0] += 1
        with notes.open("w") as file:
            file.write(f"{event} {path}")
        if attempt.delay:
            threading.Timer(attempt.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    status = forked(run, lambda: watch(run.out, on_change), lambda: None)
    if status and not os.WIFSIGNALED(status):
        raise SystemExit(f"{run.name} failed after a kill: {attempt}")
    attempt.finished = status == 0
    attempt.name = notes.read_text()
    attempt.damage = damage(run.out)


def starve(run: StageRun) -> str:
    """Train where no file can have more than ROOM bytes; the sentence that this fails with."""
    told_to = run.out.parent / "failure.json"

    def limit() -> None:
        os.environ[FAILURE_VARIABLE] = str(told_to)
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, resource.RLIM_INFINITY))

    status = forked(run, limit, lambda: None)
    if status == 0:
        raise SystemExit(f"{run.name} needs no more than {ROOM} bytes a file")
    if found := damage(run.out):
        raise SystemExit(f"{run.name} has published {found} on a full disk")
    said = read_outcome(told_to)
    return said.reason if said else ""


def damage(out: Path) -> str | None:
    """What is published in a run folder and not whole."""
    try:
        if (out / RESULT_NAME).exists():
            result = json.loads((out / RESULT_NAME).read_text())
            for folder in result["folders"].values():
                if not any((out / folder).iterdir()):
                    return f"{folder} is empty"
        for checkpoint in checkpoints.published(out):
            for part in ("model", "adapter", "state"):
                if (checkpoint.folder / part).is_dir() and (found := checkpoint.damage(part)):
                    return found
    except (OSError, ValueError, TrainingError) as error:
        return str(error)
    return None


def attempts(changes: int, moves: int, kills: int, seed: int) -> list[Attempt]:
    """Moments spread over a run: every other one counts moves, which is where things are published,
    and the last of them are among its last."""
    draw = random.Random(seed)
    found = []
    for number in range(kills):
        of = moves if number % 2 else changes
        low, high = number / kills, (number + 1) / kills
        event = max(1, min(of, round(of * draw.uniform(low, high))))
        delay = draw.choice([0, draw.uniform(0, LATER)])
        found.append(Attempt(bool(number % 2), event, delay))
    return found


def torment(run: StageRun, kills: int, seed: int) -> None:
    """The undisturbed run, the killed one, and the report."""
    whole = replace(run, out=run.out / "whole")
    killed = replace(run, out=run.out / "killed")
    changes, moves = count(whole)
    full_disk = starve(killed)
    tried = attempts(changes, moves, kills, seed)
    for attempt in tried:
        kill(killed, attempt)
        if attempt.finished:
            break
    if forked(killed, lambda: None, lambda: None):
        raise SystemExit(f"{run.name} does not end after its kills: {tried}")
    report = {"full_disk": full_disk, "kills": [asdict(a) for a in tried if a.name]}
    _write(run.out / REPORT, report)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def main() -> None:
    import bitsandbytes  # noqa: F401
    import datasets  # noqa: F401
    import deepspeed  # noqa: F401
    import peft  # noqa: F401
    import transformers.models.llama.modeling_llama  # noqa: F401
    import trl  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer  # noqa: F401

    for row in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        inputs = {role: Path(path) for role, path in row["inputs"].items()}
        recipe = Recipe.model_validate(row["recipe"])
        run = StageRun(recipe, row["name"], inputs, Path(row["out"]))
        run.out.mkdir(parents=True)
        torment(run, row["kills"], row["seed"])


if __name__ == "__main__":
    main()
