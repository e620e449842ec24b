from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.training.adaptation.delta import DELTA_RECORD, apply_delta
from tagarela_dagster.training.adaptation.release import train
from tagarela_dagster.training.launching.failure import TrainingError
from tests.training.adaptation.parents import (
    adapt,
    edit_json,
    make_parent,
    stage_run,
    tensors,
)

FORMS = ("merged", "adapter", "delta")
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base, and a stage that trained a QLoRA adapter beside it."""
    folder = tmp_path_factory.mktemp("inputs")
    base = make_parent(folder / "base")
    adapt(base, folder / "chat", "qlora")
    return {"base": base, "chat": folder / "chat"}


def release(out: Path, inputs: dict[str, Path], **section: Any) -> dict[str, Any]:
    training = {
        "base": {"model": "somebody/english-tiny", "revision": "0" * 40},
        "pretrain": {"parent": "base", "method": "qlora"},
        "stages": {
            "chat": {"kind": "sft", "parent": "pretrain", "method": "qlora"},
            "published": {"kind": "release", "parent": "chat", **section},
        },
    }
    return train(stage_run(out, "published", training, inputs))


@pytest.fixture(scope="module")
def released(
    inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("released")
    return release(out, inputs, forms=FORMS, license="cc-by-4.0"), out


def test_each_form_is_a_folder_and_the_merged_model_is_the_stages(
    released: tuple[dict[str, Any], Path], inputs: dict[str, Path]
) -> None:
    counts, out = released
    assert counts["folders"] == {"model": "model", "adapter": "adapter", "delta": "delta"}
    assert counts["rounding_divergence"] == 0  # the stage's model is in bf16 itself
    assert counts["adapter_divergence"] < 1e-3
    theirs = tensors(inputs["chat"] / "model")
    assert all(tensor.equal(theirs[name]) for name, tensor in tensors(out / "model").items())
    assert counts["sha256"] == {WEIGHTS: hash_file(out / "model" / WEIGHTS)}
    assert not (out / ".release.partial").exists()


def test_the_card_tells_where_the_model_comes_from_and_no_file_names_a_path(
    released: tuple[dict[str, Any], Path], inputs: dict[str, Path]
) -> None:
    _, out = released
    card = (out / "model" / "README.md").read_text()
    assert 'base_model: "somebody/english-tiny"' in card
    assert 'license: "cc-by-4.0"' in card
    lineage = ["- `base`: base, somebody/english-tiny at", "- `pretrain`: pretrain, qlora"]
    places = [card.index(line) for line in [*lineage, "- `chat`: sft, qlora"]]
    assert places == sorted(places)
    for path in out.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(out).encode() not in content, path
            assert str(inputs["base"].parent).encode() not in content, path


def test_the_released_adapter_stands_beside_the_base_again(
    released: tuple[dict[str, Any], Path], inputs: dict[str, Path]
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(inputs["base"] / "model", dtype=torch.float32)
    adapted = PeftModel.from_pretrained(base, released[1] / "adapter")
    assert sum("lora_" in name for name, _ in adapted.named_parameters()) == 2 * 7 * 2


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_base_and_delta_make_the_model_bit_for_bit(
    inputs: dict[str, Path], tmp_path: Path, precision: str
) -> None:
    counts = release(tmp_path, inputs, forms=("merged", "delta"), precision=precision)
    assert counts["delta_tensors_whole"] == 0
    hashes = apply_delta(tmp_path / "delta", inputs["base"] / "model", tmp_path / "again")
    assert hashes == counts["sha256"]
    made = {p.name: hash_file(p) for p in (tmp_path / "again").iterdir()}
    assert made == {p.name: hash_file(p) for p in (tmp_path / "model").iterdir()}
    # The delta alone is not the model.
    assert hash_file(tmp_path / "delta" / WEIGHTS) not in hashes.values()


def test_a_tensor_of_another_shape_is_stored_whole(inputs: dict[str, Path], tmp_path: Path) -> None:
    wide = make_parent(tmp_path / "wide", intermediate=80)
    counts = release(tmp_path / "run", inputs | {"base": wide}, forms=("delta",))
    assert counts["folders"] == {"delta": "delta"}
    assert counts["delta_tensors_whole"] == 2 * 3  # gate, up and down of two layers
    apply_delta(tmp_path / "run" / "delta", wide / "model", tmp_path / "again")


def test_another_base_is_refused(released: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    other = make_parent(tmp_path / "other", hidden=64) / "model"
    with pytest.raises(TrainingError, match="the base of this delta is somebody/english-tiny at 0"):
        apply_delta(released[1] / "delta", other, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_one_flipped_bit_in_a_delta_is_refused(
    released: tuple[dict[str, Any], Path], inputs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    delta = shutil.copytree(released[1] / "delta", tmp_path / "delta")
    content = bytearray((delta / name).read_bytes())
    content[-3] ^= 1
    (delta / name).write_bytes(content)
    with pytest.raises(TrainingError, match="the delta is damaged, fetch it again"):
        apply_delta(delta, inputs["base"] / "model", tmp_path / "again")
    assert {path.name for path in tmp_path.iterdir()} == {"delta"}


def test_a_damaged_record_is_refused(
    released: tuple[dict[str, Any], Path], inputs: dict[str, Path], tmp_path: Path
) -> None:
    delta = shutil.copytree(released[1] / "delta", tmp_path / "delta")
    base, again = inputs["base"] / "model", tmp_path / "again"
    record = json.loads((delta / DELTA_RECORD).read_text())
    edit_json(delta / DELTA_RECORD, result={WEIGHTS: "0" * 64})
    with pytest.raises(TrainingError, match="base plus delta is not the model that was meant"):
        apply_delta(delta, base, again)
    edit_json(delta / DELTA_RECORD, result=record["result"], files={"../x": "0"})
    with pytest.raises(TrainingError, match=r"names \.\./x, which is no file beside it"):
        apply_delta(delta, base, again)
    edit_json(delta / DELTA_RECORD, format_version=9)
    with pytest.raises(TrainingError, match="has format 9"):
        apply_delta(delta, base, again)
    (delta / DELTA_RECORD).write_text("{")
    with pytest.raises(TrainingError, match="is damaged"):
        apply_delta(delta, base, again)
    (delta / DELTA_RECORD).unlink()
    with pytest.raises(TrainingError, match="is no delta"):
        apply_delta(delta, base, again)
    assert {path.name for path in tmp_path.iterdir()} == {"delta"}


def test_a_model_is_never_written_over(
    released: tuple[dict[str, Any], Path], inputs: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="is there already"):
        apply_delta(released[1] / "delta", inputs["base"] / "model", tmp_path)


def test_a_stage_without_an_adapter_has_none_to_release(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    full = {"base": inputs["base"], "chat": inputs["base"]}
    with pytest.raises(TrainingError, match="chat has no adapter to release"):
        release(tmp_path, full, forms=("merged", "adapter"))
    assert release(tmp_path, full, forms=("merged",))["folders"] == {"model": "model"}


def test_a_merged_model_that_is_not_the_adapters_is_not_released(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    chat = shutil.copytree(inputs["chat"], tmp_path / "chat")
    shutil.rmtree(chat / "model")
    shutil.copytree(inputs["base"] / "model", chat / "model")  # the adapter was forgotten
    with pytest.raises(TrainingError, match="differs from the adapter's by .* it is not released"):
        release(tmp_path / "run", inputs | {"chat": chat}, rounding_tolerance=1e-4)
    assert not (tmp_path / "run" / "model").exists()


def test_a_stage_in_fp32_is_held_to_each_logit(inputs: dict[str, Path], tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    base = shutil.copytree(inputs["base"], tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base / "model", dtype=torch.float32)
    model.save_pretrained(base / "model")
    adapt(base, tmp_path / "chat", "qlora")
    given = {"base": base, "chat": tmp_path / "chat"}
    counts = release(tmp_path / "one", given, precision="fp32", forms=FORMS)
    assert counts["adapter_logit_difference"] < 1e-5
    counts = release(tmp_path / "two", given, precision="bf16", forms=FORMS)
    assert 0 < counts["rounding_divergence"] < 1e-3
    with pytest.raises(TrainingError, match="rounding_tolerance"):
        release(tmp_path / "three", given, precision="bf16", rounding_tolerance=1e-12)
