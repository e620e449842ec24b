from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.manifest import MANIFEST_NAME
from tagarela_dagster.resources.follow import MAX_OBSERVATIONS, METRICS, RunFollower, loss_curve


class Told:
    """What a follower told, in order."""

    def __init__(self, run: Path, steps: int) -> None:
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.checkpoints: list[str] = []
        self.follower = RunFollower(run, steps, self._metrics, self._checkpoint)

    def _metrics(self, values: dict[str, Any]) -> None:
        self.steps.append(values["step"])
        self.losses.append(values["loss"])

    def _checkpoint(self, folder: Path) -> None:
        self.checkpoints.append(folder.name)


def line(step: int) -> str:
    return json.dumps({"step": step, "loss": 10 / step, "tokens": step * 512}) + "\n"


def append(run: Path, text: str) -> None:
    with (run / METRICS).open("a", encoding="utf-8") as file:
        file.write(text)


def publish(run: Path, name: str) -> None:
    folder = run / "checkpoints" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_NAME).write_text("{}")


def test_a_run_that_has_not_begun_tells_nothing(tmp_path: Path) -> None:
    told = Told(tmp_path / "none", 10)
    told.follower.poll()
    assert (told.steps, told.checkpoints) == ([], [])


def test_each_line_is_told_once_and_a_line_half_written_only_when_it_is_whole(
    tmp_path: Path,
) -> None:
    told = Told(tmp_path, 10)
    append(tmp_path, line(1) + line(2) + line(3)[:9])
    told.follower.poll()
    told.follower.poll()
    assert told.steps == [1, 2]
    append(tmp_path, line(3)[9:] + line(4))
    told.follower.poll()
    assert told.steps == [1, 2, 3, 4]
    assert told.losses[2] == 10 / 3


def test_a_checkpoint_is_told_once_and_only_when_its_manifest_is_there(tmp_path: Path) -> None:
    told = Told(tmp_path, 10)
    (tmp_path / "checkpoints" / "step-000010").mkdir(parents=True)
    publish(tmp_path, "step-000005")
    told.follower.poll()
    assert told.checkpoints == ["step-000005"]
    publish(tmp_path, "step-000010")
    publish(tmp_path, "step-000015")
    told.follower.poll()
    told.follower.poll()
    assert told.checkpoints == ["step-000005", "step-000010", "step-000015"]


def test_a_long_run_puts_few_observations_on_the_page_the_first_and_last_among_them(
    tmp_path: Path,
) -> None:
    steps = 1000
    told = Told(tmp_path, steps)
    append(tmp_path, "".join(line(step) for step in range(1, steps + 1)))
    told.follower.poll()
    assert (told.steps[0], told.steps[-1]) == (1, steps)
    assert MAX_OBSERVATIONS <= len(told.steps) <= MAX_OBSERVATIONS + 5


def test_a_loss_curve_has_about_the_points_asked_for_and_the_last_one(tmp_path: Path) -> None:
    append(tmp_path, "".join(line(step) for step in range(1, 104)))
    curve = loss_curve(tmp_path, points=10)
    assert curve[0] == (1, 10.0)
    assert curve[-1] == (103, 10 / 103)
    assert [step for step, _ in curve] == [*range(1, 104, 10), 103]
