from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from tagarela_dagster.recipe.pretraining import Pretrain
from tagarela_dagster.recipe.stage import Lora
from tagarela_dagster.training.cost.peaks import Device
from tagarela_dagster.training.cost.report import Meter
from tests.training.cost.zero_ranks import SHAPE

CPU = torch.device("cpu")
CONFIG = {"model_type": "llama", **SHAPE}
# 2 x (4 x (128 x 128 x 2 + 128 x 64 x 2 + 3 x 128 x 384) + 128 x 512) + 4 x 128 x 64 x 4, x 3
FLOPS = 3 * (2 * (4 * (49_152 + 147_456) + 65_536) + 131_072)


def test_a_row_has_the_costs_of_a_step() -> None:
    device = Device("test", (), {"fp32": 0.01}, 1, 1, "measured: here", measured=True)
    section = Pretrain(steps=100, precision="fp32")
    meter = Meter(CONFIG, section, 2, CPU, context=64, peak=device)
    rows = [meter.row(tokens=1000, seconds=s, step=n) for n, s in enumerate((9, 2, 2), start=1)]
    assert rows[0]["tokens_per_second"] == 111.1
    assert rows[2]["seconds_left"] == 97 * 2  # the median forgets the slow first step
    rate = FLOPS * 500 / 2
    assert rows[2]["model_tflops"] == pytest.approx(rate / 1e12, rel=1e-3)
    assert rows[2]["mfu"] == pytest.approx(rate / 0.01e12, rel=1e-3)
    assert rows[2]["memory_bytes"] > 1e7
    assert rows[2]["kwh"] is None
    assert (meter.no_mfu, meter.measured) == (None, True)


def test_a_cpu_has_no_mfu_and_says_so() -> None:
    meter = Meter(CONFIG, Pretrain(), 1, CPU)
    row = meter.row(10, 1.0, 1)
    assert row["mfu"] is None
    assert row["model_tflops"] > 0
    assert meter.no_mfu == "no MFU: a CPU has no datasheet peak"


def test_an_unknown_architecture_still_has_a_speed() -> None:
    meter = Meter({"model_type": "mamba"}, Pretrain(), 1, CPU)
    row = meter.row(10, 2.0, 1)
    assert (row["tokens_per_second"], row["model_tflops"], row["mfu"]) == (5.0, None, None)
    assert meter.no_mfu is not None
    assert "'mamba' cannot be planned" in meter.no_mfu


def test_an_unknown_gpu_has_no_mfu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Z9")
    meter = Meter(CONFIG, Pretrain(), 1, torch.device("cuda", 0))
    assert meter.no_mfu is not None
    assert "the peak of 'NVIDIA Z9' is not known" in meter.no_mfu
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    assert Meter(CONFIG, Pretrain(), 1, torch.device("cuda", 0)).peak == 989e12


def test_an_adapter_has_fewer_operations_and_open_ends_have_no_time_left() -> None:
    full = Meter(CONFIG, Pretrain(), 1, CPU)
    section = SimpleNamespace(precision="bf16", method="lora", lora=Lora(rank=4), steps=None)
    adapted = Meter(CONFIG, section, 1, CPU)
    assert full.flops is not None
    assert adapted.flops is not None
    assert 2 / 3 < adapted.flops / full.flops < 0.75
    assert adapted.row(10, 1.0, 1)["seconds_left"] is None


def test_a_row_costs_next_to_nothing() -> None:
    import time

    meter = Meter(CONFIG, Pretrain(), 1, CPU)
    started = time.process_time()
    for step in range(1000):
        meter.row(100, 0.5, step)
    assert math.isfinite(meter.row(100, 0.5, 1000)["seconds_left"])
    assert (time.process_time() - started) / 1000 < 1e-3
