from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.training.adaptation.lora import read_adapter_record
from tagarela_dagster.training.alignment.chat import reply
from tagarela_dagster.training.alignment.states import published_states
from tagarela_dagster.training.alignment.tuning import WORK
from tagarela_dagster.training.stage import StageRun, run_stage
from tagarela_dagster.training.tracking.metrics import read_metrics
from tests.training.alignment.in_ranks import leave_as_killed, train_all
from tests.training.alignment.tiny_chat import (
    CONVERSATIONS,
    PAIRS,
    PROMPTS,
    ask,
    make_parent,
    stage_run,
    write_rows,
)

pytestmark = pytest.mark.train

TWO: dict[str, Any] = {"processes": 2, "steps": 4, "checkpoint_every": 2, "zero_stage": 2}
JUDGED = {"held_out": 0.3, "max_answer": 8}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parent(tmp_path_factory.mktemp("pretrain"))


@pytest.fixture(scope="module")
def tuned(parent: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, StageRun]:
    """Every kind of tuning once on two ranks, and again after a kill."""
    folder: Path = tmp_path_factory.mktemp("tuned")
    chats = write_rows(folder / "c.jsonl", [{"messages": m} for m in CONVERSATIONS] + [{}])
    pairs = write_rows(folder / "p.jsonl", PAIRS)
    prompts = write_rows(folder / "v.jsonl", PROMPTS)
    speaking = folder / "chat"

    def sft(name: str, **fields: Any) -> StageRun:
        return stage_run(parent, chats, folder / name, "sft", **{**TWO, **fields})

    def of(kind: str, name: str, data: Path, **fields: Any) -> StageRun:
        return stage_run(speaking, data, folder / name, kind, **{**TWO, **fields})

    runs = [
        sft("chat", method="full", steps=40, checkpoint_every=40, learning_rate=0.02),
        sft("whole"),
        sft("resumed"),
        sft("accumulated", micro_batch=1, accumulation=2),
        sft("zero3", zero_stage=3),
        sft("qlora", method="qlora", zero_stage=1),
        of("preference", "dpo", pairs, **JUDGED),
        of("preference", "dpo_resumed", pairs, **JUDGED),
        of("preference", "idle", pairs, learning_rate=1e-12, **JUDGED),
        of("reward", "reward", pairs, held_out=0.3),
        of("reward", "reward_resumed", pairs, held_out=0.3),
        of("grpo", "grpo", prompts, **JUDGED),
        of("grpo", "grpo_again", prompts, **JUDGED),
    ]
    killed = {
        folder / "resumed": (folder / "whole", 2),
        folder / "dpo_resumed": (folder / "dpo", 2),
        folder / "reward_resumed": (folder / "reward", 2),
    }
    train_all(runs, folder / "launch", killed)
    return {run.out.name: run for run in runs}


def losses(run: StageRun) -> list[float]:
    return [row["loss"] for row in read_metrics(run.out)]


def result(run: StageRun) -> dict[str, Any]:
    return json.loads((run.out / "result.json").read_text())


def test_fine_tuning_lowers_the_loss_and_leaves_its_account(tuned: dict[str, StageRun]) -> None:
    rows = read_metrics(tuned["chat"].out)
    assert [row["step"] for row in rows] == list(range(1, 41))
    # An untrained model is as good as a guess among 400 tokens: ln 400 = 5.99.
    assert rows[0]["loss"] == pytest.approx(5.99, abs=0.1)
    assert rows[-1]["loss"] < 1.5
    found = result(tuned["chat"])
    assert (found["steps"], found["ranks"]) == (40, 2)
    assert found["loss_last"] == pytest.approx(sum(row["loss"] for row in rows[-4:]) / 4)
    assert (found["rows_kept"], found["rows_quarantined"]) == (4, {"no_messages": 1})
    assert found["folders"] == {"model": "model"}
    answer = "".join(reply(tuned["chat"].out / "model", [ask("Itália")], temperature=0))
    assert answer == "É Roma."


@pytest.mark.parametrize(
    ("disturbed", "whole"),
    [("resumed", "whole"), ("dpo_resumed", "dpo"), ("reward_resumed", "reward")],
)
def test_a_killed_run_goes_on_to_the_losses_of_the_undisturbed_one(
    tuned: dict[str, StageRun], disturbed: str, whole: str
) -> None:
    assert losses(tuned[disturbed]) == losses(tuned[whole])
    assert [s.step for s in published_states(tuned[disturbed].out)] == [2, 4]
    names = ("tokens", "steps", "loss_last", "accuracy_held_out", "score_after")
    one, other = result(tuned[disturbed]), result(tuned[whole])
    assert [one.get(n) for n in names] == [other.get(n) for n in names]
    files = [tuned[name].out / "model" / "model.safetensors" for name in (disturbed, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_layout_of_a_batch_changes_no_loss(tuned: dict[str, StageRun]) -> None:
    """Micro-batches of 1 x 2 and 2 x 1 over answers of unlike length (transformers #34191)."""
    assert losses(tuned["accumulated"]) == pytest.approx(losses(tuned["whole"]), abs=1e-5)


def test_every_zero_stage_and_method_trains_and_its_merge_is_the_same_function(
    tuned: dict[str, StageRun],
) -> None:
    # Under stage 3 a tied head has the role tokens' first rows: no more than that differs.
    assert losses(tuned["zero3"]) == pytest.approx(losses(tuned["whole"]), abs=0.02)
    assert losses(tuned["qlora"]) == pytest.approx(losses(tuned["whole"]), abs=0.1)
    for name in ("whole", "zero3", "qlora", "dpo"):
        found = result(tuned[name])
        assert found["merge_logit_difference"] < 1e-4
        assert set(found["folders"]) >= {"adapter", "model"}
    assert read_adapter_record(tuned["qlora"].out / "adapter")["quantisation"] == "nf4"


def test_the_role_tokens_are_trained_beside_an_adapter(
    parent: Path, tuned: dict[str, StageRun]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    before, after = (
        AutoModelForCausalLM.from_pretrained(folder / "model").get_input_embeddings().weight
        for folder in (parent, tuned["whole"].out)
    )
    changed = [n for n in range(len(before)) if not torch.equal(before[n], after[n])]
    assert changed == [2, 3, 4]  # <|sistema|>, <|usuario|>, <|assistente|>
    assert not torch.equal(after[3], after[4])


def test_preference_tuning_makes_chosen_answers_likelier_and_shows_both_models_answers(
    tuned: dict[str, StageRun],
) -> None:
    found = result(tuned["dpo"])
    assert losses(tuned["dpo"])[0] == pytest.approx(0.6931, abs=1e-4)  # ln 2: nothing learnt yet
    assert losses(tuned["dpo"])[-1] < 0.65
    assert found["score_after"] > found["score_before"]
    assert found["rows_kept"] + found["rows_held_out"] == len(PAIRS)
    lines = (tuned["dpo"].out / "samples" / "samples.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == found["held_out"] == len({row["id"] for row in rows})
    changed = sum(row["before"] != row["after"] for row in rows)
    assert found["generations_changed"] == changed / len(rows)
    trained = (tuned["dpo"].out / WORK / "train.jsonl").read_text()
    assert not any(row["id"] in trained for row in rows)


def test_a_run_that_learns_nothing_changes_no_answer(tuned: dict[str, StageRun]) -> None:
    found = result(tuned["idle"])
    assert found["generations_changed"] == 0
    assert found["score_after"] == pytest.approx(found["score_before"], abs=1e-4)


def test_a_reward_model_ranks_pairs_that_it_has_not_seen(tuned: dict[str, StageRun]) -> None:
    found = result(tuned["reward"])
    assert losses(tuned["reward"])[-1] < losses(tuned["reward"])[0]
    assert (found["held_out"], found["accuracy_held_out"]) == (found["rows_held_out"], 1.0)
    assert found["merge_score_difference"] < 1e-4


def test_grpo_gives_the_same_run_again_and_scores_held_out_answers(
    tuned: dict[str, StageRun],
) -> None:
    assert losses(tuned["grpo"]) == losses(tuned["grpo_again"])
    first, again = result(tuned["grpo"]), result(tuned["grpo_again"])
    assert {**first, "seconds": 0} == {**again, "seconds": 0}
    assert 0 <= first["score_before"] <= 1 and 0 <= first["score_after"] <= 1
    rows = read_metrics(tuned["grpo"].out)
    assert {"reward", "rewards_answer_mean", "rewards_variety_mean"} <= set(rows[0])


def test_no_path_of_this_machine_is_published(parent: Path, tuned: dict[str, StageRun]) -> None:
    for name in ("whole", "qlora", "dpo", "reward"):
        for folder in ("adapter", "model"):
            for path in (tuned[name].out / folder).iterdir():
                assert str(parent.parent).encode() not in path.read_bytes(), path.name


def test_a_stage_goes_on_from_its_launcher_and_then_is_finished(
    tuned: dict[str, StageRun], tmp_path: Path
) -> None:
    run = replace(tuned["whole"], out=tmp_path / "run")
    leave_as_killed(run.out, tuned["whole"].out, 2)
    found = run_stage(run)
    assert losses(run) == losses(tuned["whole"])
    assert (found["steps"], found["ranks"], found["checkpoints"]) == (4, 2, ["final"])
    assert run_stage(run) == found
