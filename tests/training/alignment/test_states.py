from __future__ import annotations

from pathlib import Path

import pytest

from tagarela_dagster.training.alignment.states import (
    newest_state,
    publish_state,
    published_states,
    remove_incomplete_states,
)
from tagarela_dagster.training.launching.failure import TrainingError

LAYOUT = {"world_size": 2, "zero_stage": 2}


def save(run: Path, step: int, keep: int = 2) -> None:
    """A state as the Trainer leaves it, published."""
    folder = run / "trainer" / f"checkpoint-{step}"
    (folder / "global_step").mkdir(parents=True)
    (folder / "trainer_state.json").write_text(f'{{"global_step": {step}}}')
    (folder / "global_step" / "optimizer.pt").write_bytes(b"pesos" * step)
    (folder / "training_args.bin").write_bytes(b"pickle")
    publish_state(folder, run, step, LAYOUT, keep)


def test_the_newest_states_are_kept_and_the_last_is_gone_on_from(tmp_path: Path) -> None:
    assert newest_state(tmp_path, LAYOUT) is None
    for step in (2, 4, 6):
        save(tmp_path, step)
    assert [state.step for state in published_states(tmp_path)] == [4, 6]
    state = newest_state(tmp_path, LAYOUT)
    assert state and state.step == 6
    assert not (state.folder / "training_args.bin").exists()


def test_a_half_written_state_is_removed_and_the_one_before_it_is_taken(tmp_path: Path) -> None:
    save(tmp_path, 2)
    save(tmp_path, 4)
    (tmp_path / "states" / "step-000004" / "manifest.json").unlink()
    assert remove_incomplete_states(tmp_path) == ["step-000004"]
    state = newest_state(tmp_path, LAYOUT)
    assert state and state.step == 2


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_damaged_state_is_refused_with_a_way_out(tmp_path: Path, damage: str) -> None:
    save(tmp_path, 2)
    file = tmp_path / "states" / "step-000002" / "global_step" / "optimizer.pt"
    if damage == "flip":
        file.write_bytes(b"pesoz" + file.read_bytes()[5:])
    else:
        file.unlink()
    with pytest.raises(TrainingError, match=r"optimizer.pt is missing or damaged: remove .*2 to"):
        newest_state(tmp_path, LAYOUT)


def test_another_number_of_ranks_or_stage_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 2)
    with pytest.raises(TrainingError, match="2 and cannot be read with 4.*Set processes to 2 to"):
        newest_state(tmp_path, {**LAYOUT, "world_size": 4})
    with pytest.raises(TrainingError, match="Set zero_stage to 2 to go on"):
        newest_state(tmp_path, {**LAYOUT, "zero_stage": 3})
