from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tagarela_dagster.training.cost.clusters import assumed_speed, clusters, find_cluster
from tagarela_dagster.training.cost.peaks import named_device
from tests.cli.conftest import Tagarela

SOURCE = {"reader": "files", "path": "x", "license": "CC0-1.0"}
BASE = {"model": "meta-llama/Llama-2-7b-hf", "revision": "0" * 40}
GLORIA = {
    "model": {
        "architecture": "gpt_neo",
        "hidden": 2048,
        "layers": 24,
        "heads": 16,
        "context": 512,
    },
    "pretrain": {
        "steps": 3_000_000,
        "processes": 4,
        "micro_batch": 8,
        "zero_stage": 2,
        "schedule": "cosine_restarts",
        "checkpoint_every": 25_000,
    },
}


@pytest.fixture
def recipe(tmp_path: Path):
    """Write a recipe file of a training."""

    def write(training: dict[str, Any], **tokens: Any) -> Path:
        values = {
            "name": "plano",
            "sources": {"rio": SOURCE},
            "tokens": {"tokenizer": tokens or {"vocabulary": 50_257}},
            "training": training,
        }
        path = tmp_path / "plano.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    return write


def test_gloria_is_planned_by_hand_arithmetic(tagarela: Tagarela, recipe: Any) -> None:
    said = tagarela("plan", "--recipe", recipe(GLORIA), "--mfu", "0.4", "--json")
    assert said.code == 0, said.err
    plan = json.loads(said.out)
    (stage,) = plan["stages"]
    parameters = 50_257 * 2048 + 512 * 2048 + 24 * (12 * 2048**2 + 13 * 2048 - 3 * 2048) + 2 * 2048
    assert stage["parameters"] == stage["trained"] == parameters
    tokens = 3_000_000 * 32 * 512
    assert (stage["steps"], stage["tokens"], plan["mixture_tokens"]) == (3_000_000, tokens, tokens)
    operations = 6 * (24 * 12 * 2048**2 + 50_257 * 2048) + 12 * 2048 * 12 * (512 + 256)
    assert stage["flops"] == tokens * operations
    hours = tokens * operations / (4 * 312e12 * 0.4) / 3600
    assert stage["hours"] == pytest.approx(hours)
    assert stage["kwh"] == pytest.approx(hours * 4 * 0.4)
    # 120 exports in bf16, 3 states of weights, fp32 copy and two moments.
    assert stage["disk_bytes"] == 120 * 2 * parameters + 3 * 14 * parameters
    assert stage["memory_bytes"]["optimizer"] == 12 * parameters // 4
    assert stage["total_bytes"] == sum(stage["memory_bytes"].values()) < stage["available_bytes"]
    assert plan["problems"] == []


def test_the_2_7_b_shape_has_its_parameters(tagarela: Tagarela, recipe: Any) -> None:
    model = {**GLORIA["model"], "hidden": 2560, "layers": 32, "heads": 20, "context": 2048}
    path = recipe({**GLORIA, "model": model})
    said = tagarela("plan", "--recipe", path, "--cluster", "8xh100", "--json")
    (stage,) = json.loads(said.out)["stages"]
    assert stage["parameters"] == 2_651_307_520  # EleutherAI/gpt-neo-2.7B
    assert stage["ranks"] == 4


def test_tables_fit_100_columns_and_say_what_they_rest_on(
    tagarela: Tagarela, recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    said = tagarela("plan", "--recipe", recipe(GLORIA), "--cluster", "leonardo")
    assert said.code == 0, said.out
    assert max(map(len, said.out.splitlines())) <= 100
    assert "…" not in said.out
    assert "✓ everything fits" in said.text
    assert "MFU 51%: Tucano 1b1 on A100" in said.text
    assert "gpt_neo: no measured anchor" in said.text
    assert "https://leonardo-supercomputer.cineca.eu/hpc-system/" in said.text


def test_what_cannot_fit_ends_with_1_and_a_proposal(tagarela: Tagarela, recipe: Any) -> None:
    pretrain = {"parent": "base", "processes": 8, "micro_batch": 8, "zero_stage": 1}
    path = recipe(
        {"model": {"context": 4096}, "base": BASE, "pretrain": pretrain}, vocabulary=32_000
    )
    said = tagarela("plan", "--recipe", path, "--cluster", "8xh100")
    assert said.code == 1
    assert "too much" in said.text
    assert "✗ pretrain: needs" in said.text
    assert "this fits: zero_stage:" in said.text
    proposal = said.text.split("this fits: ")[1].split("· ")[0]
    changed = dict(pair.split(": ") for pair in proposal.strip().split(", "))
    fields = {k: yaml.safe_load(v) for k, v in changed.items() if "." not in k}
    for field in [k for k in changed if "." in k]:
        fields.setdefault("offload", {})[field.split(".")[1]] = changed[field]
    mended = {"model": {"context": 4096}, "base": BASE, "pretrain": {**pretrain, **fields}}
    path = recipe(mended, vocabulary=32_000)
    assert tagarela("plan", "--recipe", path, "--cluster", "8xh100").code == 0


def test_llamantinos_road_trains_adapters_alone(tagarela: Tagarela, recipe: Any) -> None:
    training = {
        "model": {"context": 1024},
        "base": BASE,
        "pretrain": {
            "parent": "base",
            "method": "qlora",
            "lora": {"rank": 64},
            "steps": 25_000,
            "processes": 4,
            "micro_batch": 4,
            "accumulation": 4,
            "activation_checkpointing": True,
        },
        "stages": {
            "chat": {
                "kind": "sft",
                "method": "qlora",
                "steps": 100,
                "micro_batch": 1,
                "precision": "bf16",
                "activation_checkpointing": True,
            },
            "published": {"kind": "release", "parent": "chat"},
        },
    }
    path = recipe(training, kind="base")
    said = tagarela("plan", "--recipe", path, "--cluster", "2x24gb", "--json", "--country", "BRA")
    assert said.code == 0, said.out
    base, pretrain, chat, published = json.loads(said.out)["stages"]
    assert base["parameters"] == published["parameters"] == 6_738_415_616
    assert pretrain["trained"] == 159_907_840  # as peft says of rank 64 on Llama-2-7B
    assert pretrain["ranks"] == 2
    assert pretrain["tokens"] == 25_000 * 64 * 1024
    assert pretrain["memory_bytes"]["frozen weights"] == 6_476_005_376 * 9 // 16 + 4 * 262_410_240
    assert 0 < pretrain["co2e_kg"] < 0.2 * pretrain["kwh"]
    assert chat["tokens"] == 100 * 1 * 1024
    assert any("qlora: no measured anchor" in s for s in json.loads(said.out)["assumptions"])


def test_vinallamas_road_prunes_to_sheared_llama(tagarela: Tagarela, recipe: Any) -> None:
    target = {"hidden": 2560, "layers": 32, "heads": 20, "intermediate": 6912}
    training = {
        "model": {"context": 2048},
        "base": BASE,
        "pretrain": {"parent": "wide", "processes": 8, "zero_stage": 3, "micro_batch": 1},
        "stages": {
            "wide": {"kind": "surgery"},
            "small": {"kind": "prune", "target": target, "processes": 8, "zero_stage": 3},
            "taught": {"kind": "distill", "parent": "small", "teacher": "pretrain"},
        },
    }
    path = recipe(training, vocabulary=46_336)
    said = tagarela("plan", "--recipe", path, "--cluster", "8xh100", "--json")
    stages = {s["stage"]: s for s in json.loads(said.out)["stages"]}
    assert stages["wide"]["parameters"] == 6_738_415_616 + 2 * 14_336 * 4096
    assert stages["small"]["parameters"] == 2_701_560_320 + 2 * 14_336 * 2560
    assert stages["small"]["trained"] == stages["wide"]["parameters"]
    student = stages["taught"]
    assert student["memory_bytes"]["frozen weights"] == 2 * stages["wide"]["parameters"]


def test_an_unknown_base_and_another_vocabulary_are_problems(
    tagarela: Tagarela, recipe: Any
) -> None:
    unknown = {"base": {"model": "ninguem/nada", "revision": "0"}, "pretrain": {"parent": "base"}}
    said = tagarela("plan", "--recipe", recipe(unknown))
    assert said.code == 1
    assert "the shape of 'ninguem/nada' is unknown, cannot plan" in said.text
    other = {"base": BASE, "pretrain": {"parent": "base"}, "model": {"context": 8192}}
    said = tagarela("plan", "--recipe", recipe(other))
    assert said.code == 1
    assert "the mixture's tokenizer has 50257 tokens, the model 32000" in said.text
    assert "its sequences have 8192 tokens, the model goes to 4096" in said.text


def test_a_laptop_has_memory_but_no_hours(tagarela: Tagarela) -> None:
    said = tagarela(
        "plan", "--recipe", "sample", "--scale", "tiny", "--cluster", "laptop-cpu", "--json"
    )
    assert said.code == 0, said.out
    for stage in json.loads(said.out)["stages"]:
        assert stage["hours"] is None
        assert stage["fits"] in (True, None)


def test_a_cluster_of_ones_own_is_a_file(tagarela: Tagarela, recipe: Any, tmp_path: Path) -> None:
    own = tmp_path / "nosso.yaml"
    own.write_text("{device: L40S, devices_per_node: 4, country: BRA}", encoding="utf-8")
    said = tagarela("plan", "--recipe", recipe(GLORIA), "--cluster", own, "--json")
    plan = json.loads(said.out)
    assert (plan["cluster"]["name"], plan["stages"][0]["ranks"]) == ("nosso", 4)
    assert any("nothing measured on L40S" in s for s in plan["assumptions"])
    own.write_text("{device: H300}", encoding="utf-8")
    assert "no device 'H300'" in tagarela("plan", "--cluster", own).sentence
    own.write_text("{gpus: 4}", encoding="utf-8")
    assert "describes no cluster" in tagarela("plan", "--cluster", own).sentence
    assert "no cluster 'lua'" in tagarela("plan", "--cluster", "lua").sentence


def test_every_cluster_has_a_known_device_and_memory() -> None:
    for cluster in clusters().values():
        device, host = cluster.memory(1)
        assert device > 10 * 2**30
        assert host is None or host >= 16 * 2**30
    assert find_cluster("leonardo").memory(8) == (int(63.4 * 2**30), 128 * 2**30)
    assert find_cluster("here").devices >= 1


def test_the_nearest_measured_system_gives_the_speed() -> None:
    h100, a100 = named_device("H100 SXM"), named_device("A100 SXM 40 GB")
    assert assumed_speed(h100, int(6.7e9), checkpointing=False).mfu == 0.475
    assert assumed_speed(h100, int(1e9), checkpointing=True).mfu == pytest.approx(0.3)
    assert assumed_speed(a100, int(7e9), checkpointing=False).mfu == 0.51
