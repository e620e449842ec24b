from __future__ import annotations

from pathlib import Path

import pytest

from tagarela_dagster.recipe.stage import Lora
from tagarela_dagster.training.adaptation import merge
from tagarela_dagster.training.adaptation.probe import largest_difference, probe_logits, read_probe
from tagarela_dagster.training.launching.failure import TrainingError
from tests.training.adaptation.parents import LORA, adapt, make_parent, tensors, train_adapter


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parent(tmp_path_factory.mktemp("parent"))


def test_a_lora_adapter_and_the_merged_model_are_one_function(parent: Path, tmp_path: Path) -> None:
    report = adapt(parent, tmp_path, "lora")
    assert report.merge_onto == "original"
    assert report.merge_logit_difference < 1e-5
    assert report.loss_merged == pytest.approx(report.loss_adapter, abs=1e-6)
    assert report.quantisation_logit_difference is None


@pytest.mark.parametrize(("precision", "double"), [("fp32", False), ("bf16", True)])
def test_a_qlora_adapter_merged_onto_its_own_four_bits_is_one_function(
    parent: Path, tmp_path: Path, precision: str, double: bool
) -> None:
    lora = Lora(rank=4, alpha=8, double_quantisation=double)
    report = adapt(parent, tmp_path, "qlora", precision=precision, lora=lora)
    assert report.merge_onto == "dequantised"
    assert report.merge_logit_difference < 1e-5
    # Merged onto the original weights it is another function, and the report says how far.
    assert report.quantisation_logit_difference is not None
    assert report.quantisation_logit_difference > 100 * report.merge_logit_difference
    assert report.loss_merged_otherwise != report.loss_merged


def test_the_recipe_may_merge_onto_the_original_weights(parent: Path, tmp_path: Path) -> None:
    report = adapt(parent, tmp_path, "qlora", onto="original")
    assert report.merge_onto == "original"
    assert report.merge_logit_difference == report.quantisation_logit_difference
    assert report.loss_merged - report.loss_adapter < merge.ORIGINAL_TOLERANCE
    # What no adapter stands beside is the base's own, bit for bit.
    name = "model.embed_tokens.weight"
    assert tensors(tmp_path / "model")[name].equal(tensors(parent / "model")[name])


def test_a_merge_that_changes_the_model_is_not_kept(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "held_weights", lambda model: iter(()))
    with pytest.raises(TrainingError, match="the merged model is not kept"):
        adapt(parent, tmp_path, "qlora")
    assert not (tmp_path / "model").exists()


def test_the_adapters_answer_stays_beside_it(parent: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    adapt(parent, tmp_path, "qlora")
    ids, logits, onto = read_probe(tmp_path / "adapter")
    assert onto == "dequantised"
    assert logits.shape == (len(ids), 768)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    # The model is stored in the base's bf16, so its logits are near and not equal.
    assert 0 < largest_difference(probe_logits(merged.eval(), ids), logits) < 0.05


def test_an_adapter_without_a_record_is_refused(parent: Path, tmp_path: Path) -> None:
    train_adapter(parent / "model", tmp_path / "adapter", "lora", lora=LORA)
    (tmp_path / "adapter" / "training.json").unlink()
    with pytest.raises(TrainingError, match="train it again with this version"):
        merge.merge_adapter(
            parent / "model", tmp_path / "adapter", tmp_path / "model", None, [1, 2, 3]
        )
