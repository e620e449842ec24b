from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tagarela_dagster.recipe import Recipe
from tagarela_dagster.recipe.ladder import TOLERANCE, count_parameters, pace, shaped
from tagarela_dagster.recipe.scale import scale_values
from tagarela_dagster.recipe.shape import Model
from tagarela_dagster.recipe.training import Pretrain


def model(**values: Any) -> Model:
    return Model.model_validate({"context": 2048, **values})


def shape(found: Model) -> tuple[int | None, ...]:
    return found.layers, found.hidden, found.heads, found.kv_heads, found.intermediate


def recipe(model: dict[str, Any], pretrain: dict[str, Any] | None = None) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "ladder",
            "sources": {"rio": {"reader": "files", "path": "x", "license": "CC0-1.0"}},
            "training": {"model": model, "pretrain": pretrain or {}},
        }
    )


@pytest.mark.parametrize(
    ("parameters", "expected", "found"),
    [
        ("5M", (4, 128, 2, None, 384), 4_949_120),
        ("20M", (7, 320, 5, None, 896), 19_133_120),
        ("160M", (13, 896, 14, None, 2432), 155_426_432),
        ("1B", (21, 2048, 32, 8, 5504), 995_973_120),
        ("7B", (32, 4608, 36, 4, 12288), 7_093_522_944),
    ],
)
def test_a_number_of_parameters_gives_a_shape(
    parameters: str, expected: tuple[int | None, ...], found: int
) -> None:
    made = shaped(model(parameters=parameters), 32_000)
    assert (shape(made), count_parameters(made, 32_000)) == (expected, found)


def test_the_shapes_of_public_models_are_on_the_ladder() -> None:
    # Tucano-1b1: 22 layers, 2048, 32 heads, 5632, untied; it has 4 keys and values for our 8.
    tucano = shaped(model(parameters="1.1B", tie_embeddings=False), 32_000)
    assert shape(tucano) == (22, 2048, 32, 8, 5504)
    # GlórIA 1.3B and 2.7B: 24 layers of 2048, 32 of 2560.
    neo = [shaped(model(architecture="gpt_neo", parameters=n), 50_257) for n in ("1.3B", "2.7B")]
    assert [(m.layers, m.hidden) for m in neo] == [(23, 2048), (23, 3072)]


@pytest.mark.parametrize("architecture", ["llama", "gpt_neo"])
@pytest.mark.parametrize("tied", [True, False])
def test_every_size_is_met_within_a_tenth_and_built_as_it_is_counted(
    architecture: str, tied: bool
) -> None:
    import torch
    from tokenizers import Tokenizer, models
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    from tagarela_dagster.training.models.model import model_config

    words = {f"w{n}": n for n in range(8000)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words)), eos_token="w0"
    )
    for size in range(30):
        wanted = round(5e6 * 1.3**size)
        dials = {"architecture": architecture, "parameters": wanted, "tie_embeddings": tied}
        made = shaped(model(**dials), 8000)
        counted = count_parameters(made, 8000)
        assert abs(counted / wanted - 1) <= TOLERANCE
        if size % 10 == 0:
            with torch.device("meta"):
                built = AutoModelForCausalLM.from_config(model_config(made, tokenizer))
            assert sum(p.numel() for p in built.parameters()) == counted


def test_what_is_given_beside_the_dial_stays() -> None:
    made = shaped(model(parameters="20M", layers=12, kv_heads=1), 4096)
    assert (made.layers, made.kv_heads) == (12, 1)
    assert abs(count_parameters(made, 4096) / 20e6 - 1) <= TOLERANCE


def test_a_number_that_no_shape_has_is_refused_with_the_smallest() -> None:
    with pytest.raises(ValidationError, match=r"no shape has 1,000,000 .* about 2,1\d\d,\d\d\d\. "):
        recipe({"parameters": "1M", "context": 2048})
    with pytest.raises(ValidationError, match="greater than or equal to 10000"):
        recipe({"parameters": "1k"})
    with pytest.raises(ValidationError, match="valid integer"):
        recipe({"parameters": "big"})


def test_a_recipe_without_dials_is_as_it_was_written() -> None:
    plain = recipe({"hidden": 256, "layers": 3, "heads": 4})
    assert plain.training.model == Model(hidden=256, layers=3, heads=4)
    assert plain.training.pretrain == Pretrain()
    assert plain.training.model.feed_forward == 704


def test_a_recipe_has_what_its_dials_say_and_reads_back_as_itself() -> None:
    made = recipe({"parameters": "20M", "context": 512}, {"tokens_per_parameter": 20})
    written = made.training.model
    assert shape(written) == (7, 320, 5, None, 896)
    assert Recipe.model_validate(made.as_json()) == made
    by_hand = recipe({**written.model_dump(), "parameters": None})
    assert by_hand.training.model.as_json() == written.as_json(), "a dial is no other model"
    tiny = Recipe.model_validate(scale_values({}, made, "tiny"))
    assert (tiny.training.model.hidden, tiny.training.model.parameters) == (128, None)


def test_batch_and_rate_follow_the_power_laws_of_compute() -> None:
    # arXiv 2401.02954, section 3.1: about 10^17 FLOP.
    found = pace(100_000_000, 1e17 / 6e8)
    assert (found.learning_rate, found.batch_tokens) == pytest.approx(
        (2.3382e-3, 106_190), rel=1e-3
    )
    rates = [pace(n, 20 * n).learning_rate for n in (10**7, 10**8, 10**9)]
    assert rates == sorted(rates, reverse=True)


def test_the_pace_of_a_recipe_spends_its_tokens() -> None:
    dials = {"tokens_per_parameter": 20, "processes": 2, "micro_batch": 4}
    made = recipe({"parameters": "20M", "context": 512}, dials).training
    step_tokens = made.pretrain.step_sequences * 512
    assert step_tokens == pytest.approx(81_139, rel=0.05)
    tokens = made.pretrain.steps * step_tokens
    assert tokens == pytest.approx(20 * count_parameters(made.model, 32_000), rel=0.01)
    assert made.pretrain.learning_rate == 2.59e-3
    assert made.pretrain.warmup_steps == round(0.02 * made.pretrain.steps)
    given = recipe({"parameters": "20M"}, {**dials, "steps": 70, "learning_rate": 1e-3})
    assert (given.training.pretrain.steps, given.training.pretrain.learning_rate) == (70, 1e-3)
