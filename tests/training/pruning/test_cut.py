from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.recipe.shape import Target
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.pruning.anatomy import Shape, pruned_shape, shape_of

LLAMA = {"hidden": 48, "layers": 3, "heads": 6, "kv_heads": 6, "intermediate": 40}
SHAPES: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "llama_grouped": LLAMA | {"kv_heads": 3},
    "llama_biased": LLAMA | {"kv_heads": 2, "biased": True},
    "llama_untied": LLAMA | {"tied": False},
    "gpt_neo": LLAMA,
    "gpt_neo_untied": LLAMA | {"tied": False},
}
TARGETS: dict[str, dict[str, dict[str, int]]] = {
    "llama": {
        "hidden": {"hidden": 30},
        "layers": {"layers": 2},
        "heads": {"heads": 3},
        "intermediate": {"intermediate": 24},
        "all": {"hidden": 36, "layers": 1, "heads": 2, "intermediate": 17},
    },
    "llama_grouped": {
        "heads": {"heads": 4},
        "all": {"hidden": 36, "layers": 2, "heads": 2, "intermediate": 16},
    },
    "llama_biased": {"all": {"hidden": 36, "layers": 2, "heads": 3, "intermediate": 16}},
    "llama_untied": {
        "hidden": {"hidden": 30},
        "all": {"hidden": 36, "layers": 2, "heads": 2, "intermediate": 17},
    },
    "gpt_neo": {
        "layers": {"layers": 2},
        "intermediate": {"intermediate": 24},
        "hidden and heads": {"hidden": 32, "heads": 4},
        "all": {"hidden": 24, "layers": 2, "heads": 3, "intermediate": 17},
    },
    "gpt_neo_untied": {"all": {"hidden": 24, "layers": 1, "heads": 3, "intermediate": 17}},
}
CASES = [(model, name) for model, targets in TARGETS.items() for name in targets]


def whole_model(kind: str, seed: int = 0) -> Any:
    """A model of random weights, in which no weight is a neutral one."""
    import torch
    from transformers import AutoModelForCausalLM, GPTNeoConfig, LlamaConfig

    shape = SHAPES[kind]
    shared: dict[str, Any] = {
        "vocab_size": 60,
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["intermediate"],
        "max_position_embeddings": 32,
        "tie_word_embeddings": shape.get("tied", True),
        "initializer_range": 0.2,
    }
    config: Any
    if kind.startswith("llama"):
        biased = shape.get("biased", False)
        config = LlamaConfig(
            **shared,
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            num_key_value_heads=shape["kv_heads"],
            attention_bias=biased,
            mlp_bias=biased,
        )
    else:
        kinds = [[["global", "local"], 1], [["global"], 1]]
        config = GPTNeoConfig(
            **shared, num_layers=3, num_heads=6, attention_types=kinds, window_size=4
        )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def masked(kind: str, name: str) -> Any:
    """A masked model whose masks' logits are spread out, so that soft values differ."""
    import torch

    from tagarela_dagster.training.pruning.masks import MASK, masked_model

    made = masked_model(whole_model(kind), Target(**TARGETS[kind][name]), seed=3).eval()
    for dimension in made.dimensions:
        getattr(made, MASK + dimension).data.normal_(0, 2)
    torch.manual_seed(1)
    return made


def text() -> dict[str, Any]:
    """Three sequences, the first of two packed documents."""
    import torch

    positions = torch.arange(20).expand(3, 20).clone()
    positions[0, 9:] -= 9
    tokens = torch.randint(60, (3, 20), generator=torch.Generator().manual_seed(5))
    return {"input_ids": tokens, "position_ids": positions, "use_cache": False}


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda value: value)
def test_the_masked_and_the_cut_model_are_the_same_function(kind: str, name: str) -> None:
    import torch

    model = masked(kind, name)
    small = model.cut().eval()
    assert shape_of(small.config) == model.target
    with torch.no_grad():
        whole = model(**text(), masks="none").logits
        there, here = model(**text()).logits, small(**text()).logits
    assert float((there - here).abs().max()) < 1e-5 * float(there.abs().max())
    assert float((there - whole).abs().max()) > 0.1 * float(there.abs().max())


@pytest.mark.parametrize("kind", ["llama_grouped", "llama_untied", "gpt_neo"])
def test_a_cut_model_is_saved_and_loaded_by_any_program(kind: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = masked(kind, "all")
    model.save_pretrained(tmp_path, state_dict=model.state_dict())
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    small, report = loaded
    assert not report["missing_keys"] and not report["unexpected_keys"]
    with torch.no_grad():
        difference = model(**text()).logits - small.eval()(**text()).logits
    assert float(difference.abs().max()) < 1e-4
    written = small.generate(text()["input_ids"][:1, :4], max_new_tokens=3, do_sample=False)
    assert written.shape[1] <= 7


def test_without_masks_it_is_the_parent() -> None:
    import torch

    for kind in SHAPES:
        parent, model = whole_model(kind), masked(kind, "all")
        with torch.no_grad():
            assert torch.equal(parent(**text()).logits, model(**text(), masks="none").logits)


@pytest.mark.parametrize("kind", ["llama_grouped", "gpt_neo"])
def test_recomputed_activations_give_the_same_gradients(kind: str) -> None:
    import torch

    gradients = []
    for checkpointing in (False, True):
        model = masked(kind, "all").train()
        if checkpointing:
            model.model.activation_checkpointing_enable({"use_reentrant": False})
        output = model(**text(), step=4)
        (output.logits.square().mean() + model.penalty).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name
    assert gradients[0]["mask_hidden"].abs().sum() > 0


PARENT = Shape("llama", 48, 3, 6, 3, 40, 8)


@pytest.mark.parametrize(
    ("parent", "target", "sentence"),
    [
        (PARENT, {"heads": 8}, "target.heads is 8, more than the parent's 6"),
        (PARENT, {"heads": 3}, r"2 heads share a key and value \(6 heads / 3\).* one of 2, 4, 6"),
        (PARENT, {"layers": 3}, "the parent's own shape"),
        (PARENT, {"hidden": 40}, r"40 / 6 is 6.67: choose hidden 36"),
        (
            Shape("gpt_neo", 48, 3, 6, 6, 40, 8),
            {"hidden": 32, "heads": 2},
            "32 is not 2 x 8: choose hidden 16",
        ),
    ],
)
def test_a_target_that_does_not_fit_is_refused_with_the_arithmetic(
    parent: Shape, target: dict[str, int], sentence: str
) -> None:
    with pytest.raises(TrainingError, match=sentence):
        pruned_shape(parent, Target(**target))


def test_vinallamas_shape_is_cut_out_of_llama_2_7b() -> None:
    llama = Shape("llama", 4096, 32, 32, 32, 11008, 128)
    small = pruned_shape(llama, Target(hidden=2560, layers=32, heads=20, intermediate=6912))
    assert small == Shape("llama", 2560, 32, 20, 20, 6912, 128)
