from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import build_model, load_tokenizer
from tagarela_dagster.training.pretraining import offload
from tests.training.pretraining.loop_ranks import GUARDED, SPIKE, TWO_RANKS
from tests.training.tiny_run import CONTEXT, tiny_recipe, tiny_run

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two ranks found; rank 0's also what one rank alone found."""
    folder: Path = tmp_path_factory.mktemp("ranks")
    tiny_run(folder)
    tokenizer = load_tokenizer(folder / "tokenizer")
    parent = build_model(tiny_recipe().training.model, tokenizer, seed=5)
    parent.save_pretrained(folder / "parent")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for ranks in (2, 1):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc_per_node={ranks}", "-m", "tests.training.pretraining.loop_ranks"]
        environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, str(folder)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    read = {
        name: json.loads((folder / f"found-{name}.json").read_text())
        for name in ("2-0", "2-1", "1-0")
    }
    return [read["2-0"] | read["1-0"], read["2-1"]]


def losses(found: list[dict[str, Any]], case: str) -> list[float]:
    return [row["loss"] for row in found[0][case]["rows"]]


def test_every_rank_has_the_same_lines_of_metrics_but_for_the_time(found: Any) -> None:
    timed = {"seconds", "data_seconds", "tokens_per_second"}
    for case in TWO_RANKS:
        both = [
            [{k: v for k, v in row.items() if k not in timed} for row in rank[case].get("rows", [])]
            for rank in found
        ]
        assert both[0] == both[1]
        assert all(row["data_seconds"] >= 0 for row in found[0][case].get("rows", []))


@pytest.mark.parametrize("case", ["zero 1", "zero 2", "zero 3", "one rank"])
def test_all_zero_stages_and_numbers_of_ranks_train_the_same_model(case: str, found: Any) -> None:
    assert losses(found, case) == pytest.approx(losses(found, "zero 0"), rel=1e-6)


@pytest.mark.parametrize("case", [*(f"zero {n} 1x2" for n in range(4)), "one rank 1x4"])
def test_accumulated_micro_batches_have_the_loss_of_one(case: str, found: Any) -> None:
    assert losses(found, case) == pytest.approx(losses(found, "zero 0"), rel=1e-6)


def test_in_bf16_all_stages_train_the_same_model_and_close_to_fp32(found: Any) -> None:
    wanted = losses(found, "zero 0 bf16")
    for case in ("zero 2 bf16", "zero 3 bf16"):
        # A master weight that differs in its last digit may round to another bf16.
        assert losses(found, case) == pytest.approx(wanted, rel=1e-4)
    assert wanted != losses(found, "zero 0")
    assert wanted == pytest.approx(losses(found, "zero 0"), rel=2e-3)


@pytest.mark.parametrize("case", ["optimizer in host memory", "all in host memory"])
def test_offload_and_activation_checkpointing_change_no_loss(case: str, found: Any) -> None:
    assert losses(found, case) == pytest.approx(losses(found, "zero 0"), rel=1e-6)


def test_under_zero_3_a_model_is_built_divided_with_the_weights_of_any_other(found: Any) -> None:
    assert found[0]["zero 0"]["held"] > 1000
    assert [rank["zero 3"]["held"] for rank in found] == [0, 0]
    assert losses(found, "gpt_neo zero 3") == pytest.approx(
        losses(found, "gpt_neo zero 0"), rel=1e-6
    )


@pytest.mark.parametrize(
    "case", [*(f"zero {n} skipping" for n in range(4)), "zero 2 bf16 skipping"]
)
def test_a_spike_is_left_out_and_changes_no_weight_and_no_state(case: str, found: Any) -> None:
    assert GUARDED["stability"]["skip_spikes"]
    for rank in found:
        rows, digests = rank[case]["rows"], rank[case]["digests"]
        assert [row["step"] for row in rows if "skipped" in row] == [SPIKE + 1]
        assert rows[SPIKE]["sequences"] == [4 * SPIKE, 4]
        assert "standard deviations" in rows[SPIKE]["skipped"]
        assert digests[SPIKE] == digests[SPIKE - 1]
        assert len(set(digests)) == len(digests) - 1
        assert rank[case]["account"], "what is left out is consumed nevertheless"
    if "bf16" not in case:
        assert losses(found, case) == pytest.approx(losses(found, "zero 0 skipping"), rel=1e-6)


def test_consumed_tokens_reconcile_with_the_sampler_also_on_a_ramp(found: Any) -> None:
    for case in found[0]:
        if "rows" in found[0][case]:
            assert found[0][case]["account"], case
    consumed = [row["tokens"] for row in found[0]["ramp"]["rows"]]
    assert consumed == [n * CONTEXT for n in (1, 3, 5, 8, 12, 16)]


@pytest.mark.parametrize("case", ["ramp 1x2", "one rank ramp"])
def test_a_ramp_has_the_same_losses_however_it_is_divided(case: str, found: Any) -> None:
    assert losses(found, case) == pytest.approx(losses(found, "ramp"), rel=1e-6)


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_adapters_are_trained_beside_weights_that_stay(method: str, found: Any) -> None:
    wanted = losses(found, f"{method} zero 0")
    assert wanted[-1] < wanted[0]
    assert losses(found, f"{method} zero 2") == pytest.approx(wanted, rel=1e-6)
    for stage in (0, 2):
        assert found[0][f"{method} zero {stage}"]["frozen"]


def test_lora_goes_with_zero_3_and_four_bit_weights_are_refused_there(found: Any) -> None:
    assert losses(found, "lora zero 3") == pytest.approx(losses(found, "lora zero 0"), rel=1e-6)
    assert "method qlora does not go with zero_stage 3" in found[0]["qlora zero 3"]["error"]


def test_the_cross_entropy_is_reported_without_the_z_loss(found: Any) -> None:
    rows = found[0]["z-loss"]["rows"]
    assert rows[0]["loss"] == pytest.approx(losses(found, "zero 0")[0], rel=1e-6)
    # An even guess among 300 tokens: (ln 300)^2 = 32.5.
    assert rows[0]["z_loss"] == pytest.approx(0.01 * 32.5, rel=0.02)
    assert rows[-1]["loss"] != losses(found, "zero 0")[-1]


def section(stage: int, **placed: str) -> Pretrain:
    return Pretrain.model_validate({"zero_stage": stage, "offload": placed})


@pytest.mark.parametrize(
    ("stage", "placed", "message"),
    [
        (0, {"optimizer": "cpu"}, "cpu needs zero_stage 1, 2 or 3"),
        (2, {"optimizer": "nvme"}, "need zero_stage 3, this is 2"),
        (2, {"parameters": "cpu"}, "need zero_stage 3, this is 2"),
        (3, {"parameters": "nvme"}, "environment variable TAGARELA_NVME, which is None"),
    ],
)
def test_an_offload_that_cannot_work_is_refused_with_the_reason(
    stage: int, placed: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(offload.NVME_VARIABLE, raising=False)
    with pytest.raises(TrainingError, match=message):
        offload.check_offload(section(stage, **placed))


def test_nvme_needs_libaio_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from deepspeed.ops.op_builder import AsyncIOBuilder

    monkeypatch.setenv(offload.NVME_VARIABLE, str(tmp_path))
    asked = section(3, optimizer="nvme")
    if AsyncIOBuilder().is_compatible(verbose=False):
        offload.check_offload(asked)
        placed = offload.offload_config(asked, pin=False)["offload_optimizer"]
        assert placed == {"device": "nvme", "pin_memory": False, "nvme_path": str(tmp_path)}
        return
    with pytest.raises(TrainingError, match="needs libaio.*install libaio-dev"):
        offload.check_offload(asked)
