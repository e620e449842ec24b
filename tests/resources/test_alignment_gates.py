from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.resources.gates_training import (
    STAGE_GATES,
    generations_changed,
    generations_not_worse,
    prefers_chosen,
)

GOOD = {
    "held_out": 8,
    "generations_changed": 0.75,
    "generations_degenerate_before": 0.125,
    "generations_degenerate_after": 0.125,
    "generations_portuguese_before": 1.0,
    "generations_portuguese_after": 1.0,
    "score_before": 0.4,
    "score_after": 0.6,
}


def publish(folder: Path, counts: dict[str, Any]) -> tuple[Lake, Manifest]:
    lake = Lake(folder / "lake")
    with lake.write("dpo", None, code_version="c", section={}, inputs={}) as writer:
        (writer.data / "model.txt").write_text("pesos")
        return lake, writer.publish([Shard.of(writer.data, "model.txt", 0)], counts)


def test_a_run_that_answers_otherwise_and_no_worse_passes(tmp_path: Path) -> None:
    lake, manifest = publish(tmp_path, GOOD)
    assert generations_changed(lake, manifest).sentence == "75% of 8 held-out answers changed"
    assert generations_changed(lake, manifest).passed
    assert generations_not_worse(lake, manifest).passed


def test_a_run_that_changes_no_answer_fails_however_much_its_score_rose(tmp_path: Path) -> None:
    counts = {**GOOD, "generations_changed": 0.0, "score_after": 9.0}
    verdict = generations_changed(*publish(tmp_path, counts))
    assert not verdict.passed
    assert "0% of 8 held-out answers changed, less than 5%" in verdict.sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"generations_degenerate_after": 1.0, "score_after": 9.0}, "88% more are degenerate"),
        ({"generations_portuguese_after": 0.5}, "50% more are not Portuguese"),
        ({"score_after": 0.3}, "the score fell by 0.100"),
        ({"score_after": float("nan")}, "the score fell by nan"),
    ],
)
def test_answers_that_got_worse_fail_however_good_the_margins(
    tmp_path: Path, change: dict[str, float], sentence: str
) -> None:
    counts = {**GOOD, **change}
    if change.get("score_after") != change.get("score_after"):
        lake, manifest = publish(tmp_path, GOOD)
        manifest.counts.update(counts)
    else:
        lake, manifest = publish(tmp_path, counts)
    verdict = generations_not_worse(lake, manifest)
    assert not verdict.passed
    assert sentence in verdict.sentence


def test_a_reward_model_must_beat_a_coin(tmp_path: Path) -> None:
    counts = {"accuracy_held_out": 0.5, "held_out": 40}
    assert not prefers_chosen(*publish(tmp_path, counts)).passed
    assert prefers_chosen(*publish(tmp_path, {**counts, "accuracy_held_out": 0.75})).passed


def test_a_handful_of_pairs_does_not_judge_a_reward_model(tmp_path: Path) -> None:
    verdict = prefers_chosen(*publish(tmp_path, {"held_out": 5, "accuracy_held_out": 0.2}))
    assert verdict.passed
    assert "fewer than 20 say nothing" in verdict.sentence


def test_both_kinds_that_generate_are_gated() -> None:
    gates = {
        "generations_changed": generations_changed,
        "generations_not_worse": generations_not_worse,
    }
    assert STAGE_GATES["preference"] == STAGE_GATES["grpo"] == gates
    assert STAGE_GATES["reward"] == {"prefers_chosen": prefers_chosen}


def test_no_language_is_judged_of_a_parent_that_hardly_speaks(tmp_path: Path) -> None:
    mute = {"generations_degenerate_before": 1.0, "generations_degenerate_after": 0.75}
    counts = {**GOOD, **mute, "generations_portuguese_after": 0.0}
    verdict = generations_not_worse(*publish(tmp_path, counts))
    assert verdict.passed
    assert "100% of the parent's answers are degenerate, so no language" in verdict.sentence
