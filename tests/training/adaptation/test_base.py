from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.recipe.adaptation import Base
from tagarela_dagster.training.adaptation.base import train
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.stage import run_stage
from tests.training.adaptation.hub_server import COMMIT, serve_model
from tests.training.adaptation.parents import SHAPE, edit_json, make_parent, stage_run

NAME = "somebody/english-tiny"
CARD = "---\nlanguage: en\nlicense: apache-2.0\n---\n\n# English, tiny\n"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a card, and with what must not be taken."""
    folder = make_parent(tmp_path_factory.mktemp("original")) / "model"
    (folder / "README.md").write_text(CARD)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modeling_own.py").write_text("raise SystemExit")
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "copy")


def pin(out: Path, **base: Any) -> dict[str, Any]:
    return train(stage_run(out, "base", {"base": base}))


def test_a_made_base_is_the_same_bytes_again_and_spells_portuguese_out(tmp_path: Path) -> None:
    one, two = (pin(tmp_path / name, made=SHAPE) for name in ("one", "two"))
    assert one["files"] == two["files"]
    assert (one["base"], one["dtype"], one["vocabulary"]) == ("made", "bf16", 768)
    assert one["probe_tokens_per_word"] > 3
    assert one["folders"] == {"model": "model"}


def test_a_local_folder_is_pinned_byte_for_byte_without_what_could_run(
    original: Path, tmp_path: Path
) -> None:
    found = pin(tmp_path / "run", model=str(original))
    taken = {path.name for path in (tmp_path / "run" / "model").iterdir()}
    assert taken == {p.name for p in original.iterdir()} - {"pytorch_model.bin", "modeling_own.py"}
    weights = "model.safetensors"
    assert found["files"][weights] == hash_file(original / weights)
    assert (found["license"], found["architecture"]) == ("apache-2.0", "llama")
    assert found["base"] == "model"


def test_a_model_of_the_hub_is_fetched_at_its_commit(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_model(NAME, original) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        found = pin(tmp_path / "run", model=NAME, revision=COMMIT)
    assert (found["base"], found["revision"]) == (NAME, COMMIT)
    assert found["files"]["model.safetensors"] == hash_file(original / "model.safetensors")
    assert "GET /cdn/model.safetensors" in requests
    assert not [r for r in requests if ".bin" in r or ".py" in r]
    assert not (tmp_path / "run" / ".fetched").exists()


def test_a_revision_that_moves_is_refused_with_the_commit_it_is_at(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_model(NAME, original) as (endpoint, requests):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        for revision in ("main", None):
            with pytest.raises(TrainingError, match=f"today it is {COMMIT}"):
                pin(tmp_path / "run", model=NAME, revision=revision)
        assert f"GET /api/models/{NAME}/revision/main" in requests


def test_a_model_that_is_not_there_is_a_sentence(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_model(NAME, original) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(TrainingError, match="somebody/else at 0123.* cannot be fetched from"):
            pin(tmp_path / "run", model="somebody/else", revision=COMMIT)
    with pytest.raises(TrainingError, match="is no folder, and no organisation/name"):
        pin(tmp_path / "run", model="/nowhere/at/all")


def test_pickled_weights_alone_are_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"pytorch_model\.bin are pickles"):
        pin(tmp_path / "run", model=str(copy))
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_type": "own", "auto_map": {"AutoModelForCausalLM": "x.Y"}}, "code of its own"),
        ({"model_type": "bert_for_nothing"}, "is no causal language model"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised already"),
        ({"num_hidden_layers": 3}, "lack 9 of the model's tensors"),
        ({"vocab_size": 700}, "lack 2 of the model's tensors|size mismatch|mismatch"),
    ],
)
def test_a_model_that_is_not_what_it_should_be_is_refused(
    copy: Path, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    edit_json(copy / "config.json", **changes)
    with pytest.raises((TrainingError, RuntimeError), match=sentence):
        pin(tmp_path / "run", model=str(copy))


def test_a_tokenizer_without_an_end_token_is_refused(copy: Path, tmp_path: Path) -> None:
    settings = json.loads((copy / "tokenizer_config.json").read_text())
    del settings["eos_token"]
    (copy / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(TrainingError, match="no token that ends a document"):
        pin(tmp_path / "run", model=str(copy))


@pytest.mark.train
def test_a_base_is_a_stage_like_any_other(tmp_path: Path) -> None:
    run = stage_run(tmp_path / "run", "base", {"base": {"made": SHAPE}})
    result = run_stage(run)
    assert result["checkpoints"] == ["final"]
    final = run.out / "checkpoints" / "final" / "model"
    assert hash_file(final / "model.safetensors") == result["files"]["model.safetensors"]
    assert run_stage(run) == result


def test_a_base_names_a_model_or_a_shape() -> None:
    with pytest.raises(ValidationError, match="needs `model`"):
        Base.model_validate({})
