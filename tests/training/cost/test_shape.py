from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tagarela_dagster.recipe.shape import Model, Target
from tagarela_dagster.training.cost.shape import (
    TABLE,
    UnknownShape,
    config_shape,
    known_shapes,
    model_shape,
    named_shape,
)
from tests.training.cost.shapes import gpt_neo, llama

PUBLISHED = {
    name: row["parameters"]
    for name, row in yaml.safe_load(TABLE.read_text(encoding="utf-8")).items()
    if "parameters" in row
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_public_shape_has_the_published_number_of_parameters(name: str) -> None:
    assert known_shapes()[name.casefold()].parameters == PUBLISHED[name]


@pytest.mark.parametrize(
    ("build", "changes"),
    [
        (llama, {}),
        (llama, {"tie_word_embeddings": True}),
        (llama, {"num_key_value_heads": 4, "head_dim": 24}),
        (gpt_neo, {}),
        (gpt_neo, {"num_layers": 4, "attention_types": [[["global", "local"], 2]]}),
    ],
)
def test_the_parameters_of_a_shape_are_those_of_the_model(build, changes) -> None:
    model, shape = build(**changes)
    assert shape.parameters == sum(p.numel() for p in model.parameters())


def test_head_norms_and_biases_are_counted() -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    for kind, config in ((Qwen3ForCausalLM, Qwen3Config), (Qwen2ForCausalLM, Qwen2Config)):
        model = kind(config(**sizes, **heads))
        found = config_shape(model.config.to_dict()).parameters
        assert found == sum(p.numel() for p in model.parameters())


def test_a_section_and_the_model_built_from_it_have_the_same_shape(tmp_path: Path) -> None:
    from tagarela_dagster.recipe.tokens import Tokenizer
    from tagarela_dagster.training.models.model import (
        build_model,
        count_parameters,
        load_tokenizer,
    )
    from tagarela_dagster.training.tokens.tokenizer import train_tokenizer

    train_tokenizer(["O rio corre."], Tokenizer(vocabulary=300, min_frequency=1), tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    for fields in (
        {"architecture": "llama", "hidden": 48, "layers": 3, "heads": 4, "kv_heads": 2},
        {"architecture": "gpt_neo", "hidden": 48, "layers": 3, "heads": 4, "context": 64},
    ):
        section = Model.model_validate(fields)
        model = build_model(section, tokenizer, seed=1)
        shape = model_shape(section, len(tokenizer))
        assert shape.parameters == count_parameters(model)
        assert shape.spans(64) == config_shape(model.config.to_dict()).spans(64)


def test_vinallamas_small_variant_is_llama_2_pruned() -> None:
    target = Target(hidden=2560, layers=32, heads=20, intermediate=6912)
    small = named_shape("meta-llama/Llama-2-7b-hf").pruned(target)
    assert small == named_shape("princeton-nlp/Sheared-LLaMA-2.7B")
    # 2 x 32000 x 2560 + 32 x (4 x 2560 x 2560 + 3 x 2560 x 6912 + 2 x 2560) + 2560
    assert small.parameters == 2_701_560_320
    grouped = named_shape("mistralai/Mistral-7B-v0.1").pruned(Target(heads=16))
    assert (grouped.heads, grouped.kv_heads, grouped.head_dim) == (16, 4, 128)


def test_the_shape_of_a_folder_comes_from_its_config(tmp_path: Path) -> None:
    model, shape = gpt_neo()
    text = json.dumps(model.config.to_dict())
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    assert named_shape(str(tmp_path)) == shape


def test_an_unknown_model_is_refused_in_a_sentence() -> None:
    with pytest.raises(UnknownShape, match=r"unknown, cannot plan.*config\.json"):
        named_shape("ninguem/modelo-secreto")
    with pytest.raises(UnknownShape, match="'mamba' cannot be planned"):
        config_shape({"model_type": "mamba"})
