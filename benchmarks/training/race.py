"""Race: launches the ranks in which trainings are compared, and judges what they measured.

Compared are steps beside each other, by their processor time over all ranks and by the clock;
the first steps, in which memory is allocated, and the last, which saves a checkpoint, are left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.training import contestants
from benchmarks.training.runs import make_run
from benchmarks.training.turns import Training, in_turns
from tagarela_dagster.recipe import Recipe
from tagarela_dagster.training.launching.launch import launch, torchrun
from tagarela_dagster.training.stage import StageRun

MODEL = {"architecture": "llama", "hidden": 256, "layers": 6, "heads": 4, "context": 256}
WARM = 3
OURS = "ours"


@dataclass(frozen=True)
class Race:
    """What a race has found.

    Attributes:
        clock, processor: contestant -> seconds of each compared step; processor over all ranks.
        losses: contestant -> losses of all steps, means over ranks.
        rows: lines of metrics of ours, of the compared steps.
    """

    clock: dict[str, list[float]]
    processor: dict[str, list[float]]
    losses: dict[str, list[float]]
    rows: list[dict[str, Any]]

    def median(self, name: str, by: str = "processor") -> float:
        """Seconds of a step."""
        return statistics.median(getattr(self, by)[name])

    def ratio(self, peer: str, by: str = "processor") -> float:
        """How many times faster ours is: median over steps."""
        seconds = getattr(self, by)
        pairs = zip(seconds[peer], seconds[OURS], strict=True)
        return statistics.median(other / own for other, own in pairs)

    def agreement(self, peer: str, tolerance: float) -> float:
        """Share of steps whose losses differ by less than this share."""
        pairs = list(zip(self.losses[peer], self.losses[OURS], strict=True))
        return sum(abs(a - b) < tolerance * b for a, b in pairs) / len(pairs)

    def difference(self, peer: str) -> float:
        """Largest relative difference of a loss."""
        pairs = zip(self.losses[peer], self.losses[OURS], strict=True)
        return max(abs(a - b) / b for a, b in pairs)


def race(
    names: Sequence[str], processes: int, model: dict[str, Any] | None = None, **pretrain: Any
) -> Race:
    """Let contestants train in turns, ours as the last of each round.

    Raises:
        TrainingError: the ranks failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = make_run(
            folder,
            MODEL | (model or {}),
            processes=processes,
            checkpoint_every=10**6,
            warmup_steps=2,
            learning_rate=1e-3,
            **pretrain,
        )
        run.out.mkdir()
        recipe = run.out / "recipe.json"
        recipe.write_text(json.dumps(run.recipe.as_json()), encoding="utf-8")
        arguments = ["--folder", name, "--names", json.dumps([*names, OURS])]
        launch(
            torchrun("benchmarks.training.race", arguments, processes),
            run=run.out,
            processes=processes,
            environment={"OMP_NUM_THREADS": "1"},
        )
        ranks = [
            json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(processes)
        ]
    compared = slice(WARM, -1)
    steps = {name: [rank["steps"][name] for rank in ranks] for name in ranks[0]["steps"]}
    return Race(
        {n: found[0]["clock"][compared] for n, found in steps.items()},
        {
            n: [sum(s) for s in zip(*(rank["processor"] for rank in found), strict=True)][compared]
            for n, found in steps.items()
        },
        {
            n: [statistics.mean(s) for s in zip(*(rank["losses"] for rank in found), strict=True)]
            for n, found in steps.items()
        },
        ranks[0]["rows"][compared],
    )


def main() -> None:
    """A rank."""
    import torch.distributed as dist

    from tagarela_dagster.training.pretraining.engine import connect

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--names", type=json.loads, required=True)
    given = parser.parse_args()
    folder = given.folder
    inputs = {role: folder / role for role in ("mixture", "lake", "tokenizer")}
    recipe = Recipe.model_validate_json((folder / "run" / "recipe.json").read_text())
    run = StageRun(recipe, "pretrain", inputs, folder / "run")
    connect()
    rows: list[dict[str, Any]] = []
    known: dict[str, Training] = {
        OURS: lambda done: contestants.ours(run, done, rows),
        "bare": partial(contestants.bare, run, chunked=False),
        "bare, chunked loss": partial(contestants.bare, run, chunked=True),
        "Trainer": partial(contestants.trainer, run),
    }
    steps = in_turns({name: known[name] for name in given.names})
    found = {"steps": {name: asdict(one) for name, one in steps.items()}, "rows": rows}
    (folder / f"rank-{dist.get_rank()}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
