from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.checkpointing.checkpoints import (
    published,
    remove_incomplete,
    resumable,
)
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.launch import launch, torchrun
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer
from tests.training.tiny_run import TEXTS

pytestmark = pytest.mark.train

PROGRAM = "tests.training.checkpointing.resume_ranks"


@dataclass
class Ranks:
    """What the ranks of ``resume_ranks`` wrote and said."""

    out: Path
    two: dict[str, Any]
    one: dict[str, Any]
    end: str

    @property
    def cases(self) -> dict[str, dict[str, Any]]:
        return {name: found for name, found in self.two.items() if "-" in name}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """Two ranks train and resume; one rank resumes what they wrote, and is killed."""
    out = tmp_path_factory.mktemp("resume")
    train_tokenizer(TEXTS, Tokenizer(vocabulary=300, min_frequency=1), out / "tokenizer")
    launch(torchrun(PROGRAM, [str(out)], 2), run=out, processes=2)
    with pytest.raises(TrainingError) as killed:
        launch(torchrun(PROGRAM, [str(out)], 1), run=out, processes=1)
    two, one = (json.loads((out / f"ranks-{n}.json").read_text()) for n in (2, 1))
    return Ranks(out, two, one, str(killed.value))


def test_a_resumed_run_has_the_losses_of_the_undisturbed_one_to_the_last_digit(
    ranks: Ranks,
) -> None:
    """ZeRO 0 to 3, fp32 and bf16, AdamW and Muon, offload, adapters, dropout."""
    assert len(ranks.cases) == 15
    for name, found in ranks.cases.items():
        assert found["resumed"] == found["losses"][2:], name


def test_another_zero_stage_resumes_it_too(ranks: Ranks) -> None:
    others = {n: found for n, found in ranks.cases.items() if "other" in found}
    assert len(others) == 9
    for name, found in others.items():
        assert found["other"] == pytest.approx(found["losses"][2:], abs=1e-6), name


def test_another_number_of_ranks_goes_on_within_rounding(ranks: Ranks) -> None:
    """In bf16 the gradients' sum over ranks is rounded to 8 bits of mantissa."""
    for name, stages in ranks.one.items():
        allowed = 1e-3 if name.startswith("bf16") else 1e-6
        for stage, losses in stages.items():
            expected = ranks.two[name]["losses"][2:]
            assert losses == pytest.approx(expected, abs=allowed), (name, stage)


def test_the_exported_model_gives_the_live_models_logits(ranks: Ranks) -> None:
    differences = [found["difference"] for found in ranks.cases.values() if "difference" in found]
    assert differences == [0.0] * 12


def test_an_adapter_run_keeps_and_exports_the_adapter_alone(ranks: Ranks) -> None:
    (first, _) = published(ranks.out / "lora-3")
    paths = {file["path"].split("/")[0] for file in first.record["files"]}
    assert paths == {"adapter", "state"}
    with safe_open(first.folder / "adapter" / "adapter_model.safetensors", "pt") as adapter:
        names = set(adapter.keys())
    assert len(names) == 2 * 7 * 2  # A and B, seven layers in each of two blocks
    assert all("lora_" in name for name in names)
    assert json.loads((first.folder / "adapter" / "training.json").read_text())["method"] == "lora"
    first.verify("adapter")


def test_a_state_file_is_no_pickle_and_says_what_lies_where(ranks: Ranks) -> None:
    (first, _) = published(ranks.out / "fp32-2")
    sizes: dict[str, int] = {}
    for path in sorted((first.folder / "state").iterdir()):
        with safe_open(path, "pt") as file:
            layout = json.loads(file.metadata()["layout"])
            keys = set(file.keys())
        assert {"0.weights", "0.exp_avg", "0.exp_avg_sq", "random"} <= keys
        for flat in layout["flats"]:
            assert flat["scalars"]["step"] == 2
            for name, _, _, count in flat["fragments"]:
                sizes[name] = sizes.get(name, 0) + count
    assert sum(sizes.values()) == 32_800
    assert sizes["model.embed_tokens.weight"] == 300 * 32


def test_a_full_disk_ends_the_run_with_one_sentence_and_publishes_nothing(ranks: Ranks) -> None:
    first, second = ranks.two["full disk"]
    assert "checkpoint step-000009 could not be written" in second
    assert "make room and start again: the run goes on from the checkpoint before it" in second
    assert "Rank 1 has" in second and "bytes) are free" in second
    assert first == second, "rank 0 is told, and does not wait for ever"
    assert [c.step for c in published(ranks.out / "bf16-0")] == [2, 4]


def test_a_damaged_checkpoint_is_set_aside_and_the_run_goes_on_from_the_one_before(
    ranks: Ranks,
) -> None:
    found = ranks.two["damage"]
    assert (found["step"], found["damaged"]) == (2, ["step-000004"])
    assert found["losses"] == ranks.two["dropout-2"]["losses"][2:]
    log = (ranks.out / "log.txt").read_text()
    assert "rank-00001.safetensors is damaged" in log
    assert "rank-00000.safetensors is missing, and none of the 1 checkpoints" in found["refused"]


def test_the_state_of_another_model_is_refused(ranks: Ranks) -> None:
    assert "has the state of another model: 1 parameters differ" in ranks.two["another model"]
    assert "lm_head.weight" in ranks.two["another model"]


def test_a_kill_in_the_middle_of_a_background_save_leaves_the_checkpoint_before_it(
    ranks: Ranks,
) -> None:
    run = ranks.out / "bf16-1"
    assert "SIGKILL" in ranks.end
    assert (run / "checkpoints" / ".partial-step-000005" / "model").is_dir()
    assert [c.step for c in resumable(run)] == [2, 4]
    assert remove_incomplete(run) == [".partial-step-000005"]
    for checkpoint in resumable(run):
        checkpoint.verify("state")
        checkpoint.verify("model")
