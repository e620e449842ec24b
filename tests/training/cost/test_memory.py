from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tagarela_dagster.recipe.pretraining import Pretrain
from tagarela_dagster.training.cost.fitting import fit, require_fit
from tagarela_dagster.training.cost.flops import adapter_parameters
from tagarela_dagster.training.cost.memory import Setting, frozen_bytes, predict
from tagarela_dagster.training.cost.peaks import GIB
from tagarela_dagster.training.cost.room import require_room
from tagarela_dagster.training.cost.shape import config_shape, named_shape
from tagarela_dagster.training.launching.failure import TrainingError
from tests.training.cost import zero_ranks

LLAMA = named_shape("meta-llama/Llama-2-7b-hf")
NEO = named_shape("EleutherAI/gpt-neo-1.3B")
P = 6_738_415_616


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """Bytes of the tensors that rank 0 of two holds, by precision and stage."""
    out = tmp_path_factory.mktemp("zero") / "rows.json"
    python = Path(sys.executable)
    project = Path(zero_ranks.__file__).parents[3]
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(project)}
    command = [str(python), "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run(
        [*command, zero_ranks.__file__, str(out)],
        check=True,
        env={**environment, "CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"},
        timeout=300,
        capture_output=True,
    )
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.mark.train
@pytest.mark.parametrize("case", ["fp32 0", "fp32 2", "bf16 0", "bf16 1", "bf16 2", "bf16 3"])
def test_weights_gradients_and_optimizer_are_those_of_real_ranks(
    measured: dict[str, dict[str, int]], case: str
) -> None:
    precision, stage = case.split()
    shape = config_shape({"model_type": "llama", **zero_ranks.SHAPE})
    setting = Setting(2, 1, 1, 8, zero_stage=int(stage), precision=precision, device="cpu")
    parts = predict(shape, setting).parts
    buckets = setting.width * zero_ranks.BUCKET if int(stage) else 0
    predicted = sum(parts.values()) - parts.get("buckets", 0) + buckets
    assert predicted == pytest.approx(measured[case]["backward"], rel=0.015)
    # Stage 3 keeps its gradients' buffer; the others give theirs back.
    after = predicted - (0 if stage == "3" else parts["gradients"])
    assert after == pytest.approx(measured[case]["step"], rel=0.01)


def parts(**changes: object) -> dict[str, int]:
    setting = {"world": 4, "micro_batch": 1, "accumulation": 1, "context": 1024, **changes}
    return predict(LLAMA, Setting(**setting)).parts  # type: ignore[arg-type]


def test_zero_divides_what_its_stages_divide() -> None:
    assert parts(zero_stage=0) == {"weights": 2 * P, "gradients": 2 * P, "optimizer": 12 * P}
    buckets = 2 * 2 * 500_000_000
    optimizer = {"optimizer": 3 * P, "buckets": buckets}
    assert parts(zero_stage=1) == {"weights": 2 * P, "gradients": P // 2, **optimizer}
    assert parts(zero_stage=1, accumulation=2)["gradients"] == 2 * P
    assert parts(zero_stage=2) == {"weights": 2 * P, "gradients": P // 2, **optimizer}
    assert parts(zero_stage=3) == {"weights": P // 2, "gradients": P // 2, **optimizer}


def test_offload_moves_state_to_the_host() -> None:
    setting = Setting(4, 1, 1, 1024, zero_stage=3, offload_optimizer="cpu")
    memory = predict(LLAMA, setting)
    assert "optimizer" not in memory.parts
    assert memory.host == {"building": 4 * P, "optimizer": 3 * P, "gradients": P}


def test_four_bit_weights_take_their_scales_with_them() -> None:
    linear = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    rest = P - linear
    qlora = {"method": "qlora", "rank": 64}
    plain = frozen_bytes(LLAMA, Setting(1, 1, 1, 1024, **qlora))  # type: ignore[arg-type]
    assert plain == linear * 9 // 16 + 4 * rest  # 4.5 bits a weight
    twice = Setting(1, 1, 1, 1024, double_quantisation=True, **qlora)  # type: ignore[arg-type]
    saved_bits = 8 * (plain - frozen_bytes(LLAMA, twice)) / linear
    assert saved_bits == pytest.approx(0.373, abs=5e-4)  # arXiv 2305.14314, section 3
    adapter = adapter_parameters(LLAMA, 64)
    assert adapter == 32 * 64 * (4 * 8192 + 3 * 15104)
    assert parts(zero_stage=0, **qlora)["optimizer"] == 12 * adapter


def test_four_bit_weights_are_as_large_as_bitsandbytes_makes_them() -> None:
    import torch
    from bitsandbytes.functional import quantize_4bit

    packed, state = quantize_4bit(torch.randn(256, 512), quant_type="nf4", blocksize=64)
    found = packed.untyped_storage().nbytes() + state.absmax.untyped_storage().nbytes()
    assert found == 256 * 512 * 9 // 16


def test_muon_has_one_moment_for_the_blocks_matrices() -> None:
    difference = parts(zero_stage=0)["optimizer"] - parts(zero_stage=0, muon=True)["optimizer"]
    assert difference == 4 * LLAMA.linear


def test_the_rows_of_a_memory_sum_up_to_its_total() -> None:
    memory = predict(NEO, Setting(4, 8, 1, 512, fused=False))
    assert memory.total == sum(memory.rows.values())
    assert memory.rows["weights"] == 2 * NEO.parameters


def test_glorias_setting_fits_where_gloria_was_trained() -> None:
    setting = Setting(4, 8, 1, 512, zero_stage=2, fused=False, loss_chunk=1 << 22)
    assert fit(NEO, setting, int(39.4 * GIB)).fits


def test_what_cannot_fit_is_refused_with_the_arithmetic_and_a_way_out() -> None:
    setting = Setting(4, 4, 1, 2048, zero_stage=2)
    with pytest.raises(TrainingError) as refused:
        require_fit(LLAMA, setting, int(39.4 * GIB))
    said = str(refused.value)
    assert "of 39.4 GiB a rank; this fits: " in said
    assert "weights              12.55 GiB" in said
    found = fit(LLAMA, setting, int(39.4 * GIB))
    assert found.proposal is not None
    assert fit(LLAMA, found.proposal, int(39.4 * GIB)).fits
    assert found.proposal.micro_batch * found.proposal.accumulation == 4
    memory = require_fit(LLAMA, found.proposal, int(39.4 * GIB))
    assert memory.total < 39.4 * GIB


def test_the_fastest_change_that_fits_is_proposed() -> None:
    setting = Setting(8, 8, 1, 1024, zero_stage=2)
    available = predict(LLAMA, Setting(8, 4, 2, 1024, zero_stage=2)).total
    halved = fit(LLAMA, setting, available).proposal
    assert halved == Setting(8, 4, 2, 1024, zero_stage=2)


def test_what_no_setting_brings_in_is_said() -> None:
    sentence = fit(LLAMA, Setting(1, 1, 1, 1024, zero_stage=0), 3 * GIB).sentence
    assert sentence.endswith("nothing but more ranks or larger devices helps")


def test_four_bit_weights_are_never_proposed_for_stage_3() -> None:
    setting = Setting(4, 8, 1, 4096, method="qlora", rank=64)
    found = fit(LLAMA, setting, 23 * GIB)
    assert found.proposal is not None
    assert found.proposal.zero_stage == 2


def test_a_host_that_is_too_small_is_a_plan_that_does_not_fit() -> None:
    setting = Setting(4, 1, 1, 1024, zero_stage=3)
    assert fit(LLAMA, setting, 80 * GIB, host=64 * GIB).fits
    found = fit(LLAMA, setting, 80 * GIB, host=16 * GIB)
    assert not found.fits
    assert "host: 25.1 GiB of 16.0 GiB" in found.sentence


def test_a_rank_refuses_before_it_allocates() -> None:
    import torch

    section = Pretrain(processes=2, micro_batch=4, precision="bf16")
    tiny = config_shape({"model_type": "llama", **zero_ranks.SHAPE})
    assert require_room(section, tiny, 2, 64, torch.device("cpu")).total < GIB
    huge = replace(LLAMA, layers=3200)
    with pytest.raises(TrainingError, match="this training does not fit: needs"):
        require_room(section, huge, 2, 1024, torch.device("cpu"))
