from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagarela_dagster.training.adaptation.pursuit import pursue, refine
from tagarela_dagster.training.adaptation.surgery import train
from tagarela_dagster.training.adaptation.token_bytes import token_bytes, without_prefix
from tagarela_dagster.training.adaptation.transplant import PIECES, SHARED, plan_transplant
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import load_tokenizer
from tagarela_dagster.training.tokens.comparison import HARD_TEXTS, tokenizer_equal
from tagarela_dagster.training.tokens.tokenizer import ASSISTANT, EOS, PAD
from tests.training.adaptation.parents import (
    held_out,
    make_parent,
    portuguese_tokenizer,
    stage_run,
    tensors,
)

IN, OUT = "model.embed_tokens.weight", "lm_head.weight"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return {
        "base": make_parent(folder / "base"),
        "tokenizer": portuguese_tokenizer(folder / "tokenizer"),
        "held_out": held_out(folder / "held_out"),
    }


def operate(out: Path, inputs: dict[str, Path], **surgery: Any) -> dict[str, Any]:
    stages = {"portuguese": {"kind": "surgery", **surgery}}
    base = {"made": {"hidden": 32, "layers": 2, "heads": 2}}
    return train(stage_run(out, "portuguese", {"base": base, "stages": stages}, inputs))


@pytest.fixture(scope="module")
def operated(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("operated")
    return operate(out, inputs), out / "model"


def test_portuguese_costs_fewer_tokens_after_it(operated: Any) -> None:
    counts, _ = operated
    assert counts["fertility_after"] < 0.6 * counts["fertility_before"]
    assert counts["bytes_per_token_after"] > 1.5 * counts["bytes_per_token_before"]
    assert np.isfinite([counts["nats_per_byte_before"], counts["nats_per_byte_after"]]).all()
    assert (counts["vocabulary_before"], counts["vocabulary_after"]) == (768, 390)
    # The 256 bytes at the least, and not all of the words.
    assert 256 / 385 < counts["overlap_share"] < 1
    assert counts["tokens_shared"] + counts["tokens_from_pieces"] == 385
    assert counts["tokens_random"] == 0


def test_shared_tokens_keep_their_rows_and_others_are_the_mean_of_their_pieces(
    operated: Any, inputs: dict[str, Path]
) -> None:
    _, model = operated
    before, after = tensors(inputs["base"] / "model"), tensors(model)
    old, new = load_tokenizer(inputs["base"] / "model"), load_tokenizer(model)
    plan = plan_transplant(old, new)
    tokens = new.convert_ids_to_tokens(list(range(len(new))))

    def longest(kind: str) -> int:
        return max(
            (n for n in range(len(new)) if plan.kinds[n] == kind), key=lambda n: len(tokens[n])
        )

    shared, pieces = longest(SHARED), longest(PIECES)
    ids = old(new.decode([pieces]), add_special_tokens=False)["input_ids"]
    assert len(ids) > 2
    assert plan.mixtures[pieces][0] == ids
    for name in (IN, OUT):
        assert after[name][shared].equal(before[name][old.convert_tokens_to_ids(tokens[shared])])
        mean = before[name][ids].float().mean(0)
        assert after[name][pieces].float().allclose(mean, atol=1e-3)
    others = [name for name in before if name not in (IN, OUT)]
    assert all(after[name].equal(before[name]) for name in others)


def test_the_end_token_is_read_as_a_beginning_and_predicted_as_an_end(
    operated: Any, inputs: dict[str, Path]
) -> None:
    _, model = operated
    before, after = tensors(inputs["base"] / "model"), tensors(model)
    old, new = load_tokenizer(inputs["base"] / "model"), load_tokenizer(model)
    end, pad, assistant = (new.convert_tokens_to_ids(t) for t in (EOS, PAD, ASSISTANT))
    assert after[IN][end].equal(before[IN][old.bos_token_id])
    assert after[OUT][end].equal(before[OUT][old.eos_token_id])
    assert after[OUT][pad].equal(before[OUT][old.eos_token_id])
    word = old("assistente", add_special_tokens=False)["input_ids"]
    assert after[IN][assistant].float().allclose(before[IN][word].float().mean(0), atol=1e-3)
    for name in ("config.json", "generation_config.json"):
        settings = json.loads((model / name).read_text())
        assert (settings["bos_token_id"], settings["eos_token_id"]) == (end, end)
        assert settings["pad_token_id"] == pad
    assert json.loads((model / "config.json").read_text())["vocab_size"] == 390


def test_the_models_tokenizer_is_the_graphs(operated: Any, inputs: dict[str, Path]) -> None:
    assert tokenizer_equal(inputs["tokenizer"], operated[1], HARD_TEXTS)


@pytest.mark.parametrize("method", ["omp", "random"])
def test_other_starts_share_what_is_shared(
    operated: Any, inputs: dict[str, Path], tmp_path: Path, method: str
) -> None:
    counts = operate(tmp_path, inputs, method=method)
    one, other = tensors(operated[1])[IN], tensors(tmp_path / "model")[IN]
    same = (one == other).all(1)
    assert int((~same).sum()) == counts["tokens_from_pieces"]
    assert counts["tokens_random"] == (counts["tokens_from_pieces"] if method == "random" else 0)


@pytest.mark.parametrize("architecture", ["llama", "gpt_neo"])
def test_tied_embeddings_stay_tied(
    inputs: dict[str, Path], tmp_path: Path, architecture: str
) -> None:
    parent = make_parent(tmp_path / "base", architecture=architecture, tie_embeddings=True)
    operate(tmp_path / "run", inputs | {"base": parent})
    weights = tensors(tmp_path / "run" / "model")
    assert OUT not in weights
    rows = [tensor.shape[0] for tensor in weights.values() if tensor.ndim == 2]
    assert rows.count(390) == 1


def test_held_out_documents_there_must_be(inputs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="materialize held_out first"):
        operate(tmp_path / "run", inputs | {"held_out": tmp_path / "empty"})


def test_pursuit_finds_the_atoms_that_a_vector_is_made_of() -> None:
    draw = np.random.default_rng(0)
    atoms = np.abs(draw.normal(size=(20, 50)))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    vector = 0.7 * atoms[3] + 0.4 * atoms[11]
    length = np.linalg.norm(vector)
    chosen, weights, explained = pursue(atoms @ atoms.T, atoms @ vector / length, most=8)
    found = dict(zip(chosen, weights * length, strict=True))
    assert explained > 0.999
    assert found[3] == pytest.approx(0.7, abs=0.05)
    assert found[11] == pytest.approx(0.4, abs=0.05)


def test_a_pursued_row_is_a_weighted_mean(inputs: dict[str, Path]) -> None:
    old = load_tokenizer(inputs["base"] / "model")
    new = load_tokenizer(inputs["tokenizer"])
    plan = plan_transplant(old, new)
    refined = refine(plan, old, new, neighbours=4)
    pieces = [number for number, kind in enumerate(plan.kinds) if kind == PIECES]
    assert pieces
    for number in pieces:
        ids, weights = refined.mixtures[number]
        assert min(weights) >= 0
        assert sum(weights) == pytest.approx(1)
        assert len(ids) <= 4 + len(plan.mixtures[number][0])


def test_tokens_of_sentencepiece_and_byte_level_vocabularies_are_compared_by_bytes() -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    vocabulary = {"<unk>": 0, "<0x0A>": 1, "▁casa": 2, "casa": 3, "ção": 4}
    encoder = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    encoder.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    encoder.decoder = decoders.ByteFallback()
    found = token_bytes(encoder)
    assert found[1:] == [b"\n", b" casa", b"casa", "ção".encode()]
    assert without_prefix(encoder).normalizer is not None
    other = Tokenizer(models.WordPiece({"casa": 0}))
    other.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(TrainingError, match="neither byte-level nor sentencepiece-like"):
        token_bytes(other)
