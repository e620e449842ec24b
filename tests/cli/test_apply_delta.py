from __future__ import annotations

from pathlib import Path

import pytest

from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.training.adaptation.delta import write_delta
from tests.cli.conftest import Tagarela
from tests.training.adaptation.parents import make_parent


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A base, a model of its shape with other weights, and the model's difference to the base."""
    from tagarela_dagster.recipe.shape import Model
    from tagarela_dagster.training.adaptation.made import make_model
    from tests.training.adaptation.parents import SHAPE

    folder = tmp_path_factory.mktemp("delta")
    base = make_parent(folder / "base") / "model"
    make_model(Model.model_validate(SHAPE), 2, folder / "model")
    write_delta(
        folder / "model", base, folder / "delta", "bf16", {"model": "a/b", "revision": None}
    )
    return base, folder / "model", folder / "delta"


def test_base_and_delta_make_the_model(
    tagarela: Tagarela, folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    base, model, delta = folders
    said = tagarela("apply-delta", delta, "--base", base, "--out", tmp_path / "made")
    wanted = hash_file(model / "model.safetensors")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{wanted}  {tmp_path / 'made' / 'model.safetensors'}\n"
    assert hash_file(tmp_path / "made" / "model.safetensors") == wanted


def test_another_base_is_one_sentence(
    tagarela: Tagarela, folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _, model, delta = folders
    said = tagarela("apply-delta", delta, "--base", model, "--out", tmp_path / "made")
    assert said.sentence.endswith("the base of this delta is a/b")
    assert not (tmp_path / "made").exists()
