from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagarela_dagster.training.adaptation.lora import load_parent, read_adapter_record
from tagarela_dagster.training.launching.failure import TrainingError
from tests.training.adaptation.parents import LORA, make_parent, tensors, train_adapter


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parent(tmp_path_factory.mktemp("parent")) / "model"


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_only_the_adapter_is_trained_and_the_loss_falls(
    model: Path, tmp_path: Path, method: str
) -> None:
    losses = train_adapter(model, tmp_path, method)
    assert losses[-1] < losses[0] - 0.05
    assert all("lora_" in name for name in tensors(tmp_path))
    # q, k, v, o, gate, up, down of two layers, each with A and B.
    assert len(tensors(tmp_path)) == 2 * 7 * 2


def test_a_new_adapter_changes_nothing(model: Path) -> None:
    import torch

    ids = torch.arange(40)[None]
    plain = load_parent(model, "lora", "fp32", LORA, train=False)
    adapted = load_parent(model, "lora", "fp32", LORA)
    assert not any(p.requires_grad for p in plain.parameters())
    with torch.no_grad():
        assert torch.equal(plain(input_ids=ids).logits, adapted(input_ids=ids).logits)


def test_full_training_trains_every_parameter_in_the_precision_asked_for(model: Path) -> None:
    import torch

    network = load_parent(model, "full", "bf16", LORA)
    assert all(p.requires_grad for p in network.parameters())
    assert {p.dtype for p in network.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("architecture", ["llama", "gpt_neo"])
def test_packed_documents_stay_apart_in_a_quantised_model(
    tmp_path: Path, architecture: str
) -> None:
    import torch

    parent = make_parent(tmp_path, architecture=architecture) / "model"
    network = load_parent(parent, "qlora", "fp32", LORA)
    ids = torch.arange(10, 40)[None]
    positions = torch.cat([torch.arange(12), torch.arange(18)])[None]
    other = ids.clone()
    other[0, :12] += 100
    with torch.no_grad():
        seen = [
            network(input_ids=i, position_ids=positions, use_cache=False).logits[0, 12:]
            for i in (ids, other)
        ]
    assert torch.equal(*seen)


def test_an_adapter_says_how_it_was_trained_and_names_no_path(model: Path, tmp_path: Path) -> None:
    lora = LORA.model_copy(update={"double_quantisation": True})
    train_adapter(model, tmp_path, "qlora", precision="bf16", lora=lora)
    assert read_adapter_record(tmp_path) == {
        "method": "qlora",
        "precision": "bf16",
        "quantisation": "nf4",
        "block": 64,
        "double_quantisation": True,
    }
    assert not [p for p in tmp_path.iterdir() if str(model.parent).encode() in p.read_bytes()]


def test_four_bit_weights_under_zero_3_are_refused(model: Path) -> None:
    with pytest.raises(TrainingError, match="qlora does not go with zero_stage 3"):
        load_parent(model, "qlora", "bf16", LORA, zero_stage=3)


@pytest.mark.train
def test_two_ranks_train_one_quantised_adapter_under_zero_2(model: Path, tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    module = ["-m", "tests.training.adaptation.two_ranks", str(model), "qlora", "2", str(tmp_path)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        [sys.executable, *torchrun, *module],
        check=True,
        timeout=300,
        cwd=Path(__file__).parents[3],
        env=os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["world"] == 2
    assert told["losses"][-1] < told["losses"][0] - 0.1
    assert told["changed"] == []
    assert told["sums"][0] == told["sums"][1]
    assert len(tensors(tmp_path)) == 2 * 7 * 2
