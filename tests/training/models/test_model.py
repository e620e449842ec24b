from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.recipe.training import Model
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import (
    build_model,
    choose_attention,
    count_parameters,
    load_tokenizer,
    model_config,
    parameter_groups,
)
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer
from tests.training.tiny_run import TEXTS

ARCHITECTURES = ["llama", "gpt_neo"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXTS, Tokenizer(vocabulary=300, min_frequency=1), folder)
    return load_tokenizer(folder)


def shape(architecture: str, **more: Any) -> Model:
    values = {"hidden": 32, "layers": 2, "heads": 2, "context": 64, "window": 8}
    return Model.model_validate({"architecture": architecture, **values, **more})


IN_USE = [
    ("llama", "sdpa", {}),
    ("llama", "eager", {}),
    ("llama", "sdpa", {"kv_heads": 1}),
    ("llama", "eager", {"kv_heads": 1}),
    ("gpt_neo", "eager", {}),
]
"""Architecture, attention, shape: what a recipe can ask for on a CPU."""


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(("architecture", "attention", "more"), IN_USE)
def test_a_document_does_not_see_its_neighbours_in_a_sequence(
    architecture: str, attention: str, more: dict[str, Any], checkpointing: bool, tokenizer: Any
) -> None:
    model: Any = build_model(shape(architecture, **more), tokenizer, 1, attention).train()
    assert model.config._attn_implementation == attention
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
        assert model.is_activation_checkpointing
    positions = torch.cat([torch.arange(20), torch.arange(25), torch.arange(19)])[None]
    tokens = torch.arange(10, 74)[None]
    changed = tokens.clone()
    changed[0, 30] = 200

    def logits_of(tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return model(input_ids=tokens, position_ids=positions, use_cache=False).logits[0]

    before, after = logits_of(tokens, positions), logits_of(changed, positions)
    moved = (before - after).abs().amax(-1)
    assert moved[:30].max() == 0
    assert moved[30:38].min() > 1e-4, "the document itself must see the change"
    assert moved[45:].max() == 0
    single = logits_of(tokens[:, 45:], torch.arange(19)[None])
    torch.testing.assert_close(single, before[45:], atol=1e-6, rtol=1e-5)
    # The loss of the first and the last document, and what it teaches, come from them alone.
    gradients = []
    for found, given in ((before, tokens), (after, changed)):
        model.zero_grad()
        losses = torch.nn.functional.cross_entropy(found[:-1], given[0, 1:], reduction="none")
        (losses[:19].sum() + losses[45:].sum()).backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_attention_is_the_best_that_there_is_and_what_cannot_be_had_is_refused(
    tokenizer: Any,
) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU may have flash attention")
    llama, neo = (model_config(shape(name), tokenizer) for name in ARCHITECTURES)
    assert (choose_attention(llama, "auto"), choose_attention(neo, "auto")) == ("sdpa", "eager")
    with pytest.raises(TrainingError, match="sdpa cannot be had for gpt_neo here; .* are eager"):
        choose_attention(neo, "sdpa")
    with pytest.raises(TrainingError, match="possible are sdpa, eager"):
        choose_attention(llama, "flash_attention_2")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_gives_the_same_weights(architecture: str, tokenizer: Any) -> None:
    first, again, other = (
        build_model(shape(architecture), tokenizer, seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    build_model(shape(architecture), tokenizer, 1)
    assert torch.equal(torch.get_rng_state(), state), "nor are other random numbers touched"


def test_weights_are_drawn_as_the_architecture_says(tokenizer: Any) -> None:
    model = build_model(shape("llama", hidden=128), tokenizer, seed=1)
    matrices = {
        n: p.detach() for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n
    }
    for name, matrix in matrices.items():
        assert float(matrix.std()) == pytest.approx(0.02, rel=0.05), name
        assert abs(float(matrix.mean())) < 0.001, name
    assert len({float(matrix[0, 0]) for matrix in matrices.values()}) == len(matrices)
    assert all((p == 1).all() for n, p in model.named_parameters() if "norm" in n)


def test_a_llama_has_the_parameters_that_its_shape_says(tokenizer: Any) -> None:
    model = build_model(shape("llama", kv_heads=1, intermediate=48), tokenizer, seed=1)
    attention = 2 * 32 * 32 + 2 * 32 * 16
    expected = 300 * 32 + 2 * (attention + 3 * 32 * 48 + 2 * 32) + 32
    assert count_parameters(model) == expected
    untied = build_model(
        shape("llama", kv_heads=1, intermediate=48, tie_embeddings=False), tokenizer, seed=1
    )
    assert count_parameters(untied) == expected + 300 * 32


def test_layers_of_a_gpt_neo_alternate_between_global_and_local(tokenizer: Any) -> None:
    model: Any = build_model(shape("gpt_neo", layers=3), tokenizer, seed=1)
    assert model.config.attention_layers == ["global", "local", "global"]
    assert model.config.window_size == 8
    expected = (300 + 64) * 32 + 3 * (4 * 32 * 32 + 32 + 8 * 32 * 32 + 160 + 4 * 32) + 64
    assert count_parameters(model) == expected


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_weight_matrices_decay(architecture: str, tokenizer: Any) -> None:
    model = build_model(shape(architecture), tokenizer, seed=1)
    decayed, plain = parameter_groups(model, 0.1)
    names = {id(p): name for name, p in model.named_parameters()}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) == (14 if architecture == "llama" else 12)
    for parameter in plain["params"]:
        name = names[id(parameter)]
        assert any(part in name for part in ("norm", "ln_", "bias", "embed", "wte", "wpe")), name
    both = [*decayed["params"], *plain["params"]]
    assert len({id(p) for p in both}) == len(both) == len(list(model.parameters()))


def test_a_model_ends_with_the_tokenizers_end_token(tokenizer: Any) -> None:
    model: Any = build_model(shape("gpt_neo"), tokenizer, seed=1)
    assert model.config.vocab_size == len(tokenizer) == 300
    assert model.config.eos_token_id == tokenizer.convert_tokens_to_ids("<|fim|>") == 0
    assert model.generation_config.eos_token_id == 0
