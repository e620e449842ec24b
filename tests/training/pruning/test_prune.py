from __future__ import annotations

from typing import Any

import pytest

from tagarela_dagster.recipe.pruning import Prune
from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.stage import StageRun, run_stage
from tagarela_dagster.training.tracking.metrics import read_metrics
from tests.training.pruning.tiny_prune import PRUNE, TARGET, tiny_stage, with_stage
from tests.training.tiny_run import CONTEXT

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> StageRun:
    """Eight steps on two ranks under ZeRO-2, shares changed after the third and the sixth."""
    run = with_stage(tiny_stage(tmp_path_factory.mktemp("prune")), "small", PRUNE)
    run_stage(run)
    return run


def test_masks_weights_and_shares_learn_on_two_ranks(pruned: StageRun) -> None:
    rows = read_metrics(pruned.out)
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.5
    sparsities = [row["sparsity"]["intermediate"] for row in rows]
    assert sparsities[-1] > sparsities[0] > 0
    assert [round(row["sought"]["intermediate"], 3) for row in rows[:6]] == [
        0.0,
        0.156,
        0.312,
        0.469,
        0.625,
        0.625,
    ]
    assert [row["step"] for row in rows if "probe_losses" in row] == [3, 6]
    # The multipliers ascend: what is missing is paid ever more for.
    assert rows[0]["penalty"] == 0 and rows[-1]["penalty"] > 1


def test_its_result_is_the_target_and_the_account_reconciles(pruned: StageRun) -> None:
    result = run_stage(pruned)
    after = result["shapes"]["after"]
    assert {name: after[name] for name in TARGET} == TARGET
    assert result["checkpoints"] == ["step-000004", "step-000008"]
    assert result["export_difference"] < 1e-5, "the cut model is the masked one"
    assert result["tokens"] == 32 * CONTEXT == sum(result["tokens_per_source"].values())
    consumed = sum(row["consumed_tokens"] for row in result["account"])
    assert consumed == 32 * CONTEXT
    assert result["unused_sequences"] == 64 - 32 - 8
    assert [row["step"] for row in result["shares"]] == [3, 6]
    assert result["parent_losses"].keys() == result["cut_losses"].keys() == {"mar", "rio"}
    assert result["parameters"] == 20_512 < result["parameters_before"] == 63_120


def test_every_checkpoint_is_a_small_model_that_any_program_loads(pruned: StageRun) -> None:
    from transformers import AutoModelForCausalLM

    for checkpoint in checkpoints.published(pruned.out):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint.model, output_loading_info=True
        )
        model, report = loaded
        assert not report["missing_keys"] and not report["unexpected_keys"]
        assert sum(p.numel() for p in model.parameters()) == checkpoint.record["parameters"]


def test_a_pruning_that_was_stopped_goes_on_exactly(pruned: StageRun) -> None:
    wanted = read_metrics(pruned.out)
    last = pruned.out / "checkpoints" / "step-000008"
    weights = (last / "model" / "model.safetensors").read_bytes()
    (pruned.out / "result.json").unlink()
    (last / "manifest.json").unlink()
    run_stage(pruned)
    assert "from step 4" in (pruned.out / "log.txt").read_text().rsplit("== ", 1)[-1]
    names = ("loss", "penalty", "gradient_norm", "tokens_per_source", "sparsity", "sought")
    found = read_metrics(pruned.out)
    assert [[row[n] for n in names] for row in found] == [[r[n] for n in names] for r in wanted]
    assert found[-1]["loading"] == wanted[-1]["loading"]
    assert (last / "model" / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"method": "lora"}, "masks are learned with all weights"),
        ({"optimizer": "muon"}, "learned with adamw"),
        ({"compile": True}, "neither ramp nor compile"),
    ],
)
def test_what_does_not_go_with_masks_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Prune.model_validate({"target": {"layers": 2}, **settings})
