from __future__ import annotations

import pytest
import torch

from tagarela_dagster.training.cost.measured import measured_cpu, measured_memory
from tagarela_dagster.training.cost.peaks import devices, find_device, named_device, why_no_peak


@pytest.mark.parametrize(
    ("name", "bf16"),
    [
        ("NVIDIA A100-SXM4-40GB", 312e12),
        ("NVIDIA A100 80GB PCIe", 312e12),
        ("NVIDIA A100-SXM-64GB", 312e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA GH200 480GB", 989e12),
        ("NVIDIA B200", 2250e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA GeForce RTX 4090", 165.2e12),
        ("NVIDIA GeForce RTX 3090", 71e12),
        ("AMD Instinct MI300X", 1307.4e12),
    ],
)
def test_a_device_is_known_by_the_name_that_torch_gives_it(name: str, bf16: float) -> None:
    device = find_device(name)
    assert device is not None
    assert device.peak("bf16") == bf16
    assert why_no_peak(name, "bf16") is None


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA A100-SXM4-40GB MIG 3g.20gb",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA A10G",
        "NVIDIA H100",
        "Placa Desconhecida",
    ],
)
def test_a_part_or_a_cousin_of_a_device_is_unknown_and_said_to_be(name: str) -> None:
    assert find_device(name) is None
    sentence = why_no_peak(name, "bf16")
    assert sentence is not None
    assert f"the peak of {name!r} is not known" in sentence


def test_cards_without_bf16_have_no_bf16_peak() -> None:
    assert why_no_peak("Tesla T4", "bf16") == "no MFU: T4 has no bf16 peak"
    assert why_no_peak("Tesla V100-SXM2-16GB", "fp32") is None


def test_every_row_has_a_source_memory_and_power() -> None:
    assert len({d.device for d in devices()}) == len(devices())
    for device in devices():
        assert device.source.startswith("https://"), device.device
        assert device.memory_gib > 0
        assert device.watts > 0
        assert device.peaks.get("bf16", 0) <= 2250  # no sparse figure slipped in
    with pytest.raises(ValueError, match="no device 'H300'"):
        named_device("H300")


def test_a_cpus_peak_is_measured_and_labelled() -> None:
    device = measured_cpu("fp32", seconds=0.05)
    peak = device.peak("fp32")
    assert device.measured
    assert peak is not None
    assert 1e9 < peak < 1e14
    assert device.source.startswith("measured: product of 1024 x 1024")


def test_measured_memory_is_this_processs_peak() -> None:
    before = measured_memory(torch.device("cpu"))
    block = torch.ones(80_000_000)
    assert measured_memory(torch.device("cpu")) >= max(before, block.nbytes)
