from __future__ import annotations

from pathlib import Path

import pytest

from tagarela_dagster.provenance.fingerprint import fingerprint
from tagarela_dagster.recipe import Recipe, RecipeError, load_recipe
from tagarela_dagster.recipe.model import PER_SOURCE

SOURCES = """
sources:
  oscar: {reader: oscar, path: "sample:oscar", license: CC0-1.0}
  wikipedia: {reader: wikipedia, path: "sample:wikipedia", license: CC-BY-SA-4.0, rank: 1}
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_extends_another_key_by_key(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", "name: base\n" + SOURCES)
    child = write(
        tmp_path,
        "child.yaml",
        "extends: base.yaml\nname: child\ncorpus: {quality: {min_words: 20}}\n"
        "sources: {wikipedia: null}\n",
    )
    recipe = load_recipe(child)
    assert recipe.name == "child"
    assert list(recipe.sources) == ["oscar"]
    assert recipe.corpus.quality.min_words == 20
    assert recipe.corpus.quality.max_words == 100_000


def test_recipes_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "extends: b.yaml\nname: a\n")
    path = write(tmp_path, "b.yaml", "extends: a.yaml\nname: b\n")
    with pytest.raises(RecipeError, match=r"circle: b\.yaml -> a\.yaml -> b\.yaml"):
        load_recipe(path)


def test_an_unknown_key_names_file_key_and_what_is_known(tmp_path: Path) -> None:
    path = write(tmp_path, "r.yaml", "name: r\ncorpus: {quality: {min_wrods: 3}}\n" + SOURCES)
    with pytest.raises(RecipeError) as error:
        load_recipe(path)
    message = str(error.value)
    assert f"{path}: corpus.quality.min_wrods is not a known key" in message
    assert "min_words" in message


@pytest.mark.parametrize(
    ("yaml", "says"),
    [
        (
            "corpus: {language: {min_score: 1.5}}",
            "corpus.language.min_score = 1.5: Input should be less than or equal to 1",
        ),
        ("training: {model: {hidden: 100, heads: 3}}", "hidden (100) must be a multiple of heads"),
        (
            "training: {pretrain: {zero_stage: 4}}",
            "training.pretrain.zero_stage = 4: Input should be 0, 1, 2 or 3",
        ),
        (
            "training: {stages: {chat: {kind: sft, lora: {rnak: 8}}}}",
            "training.stages.chat.lora.rnak is not a known key; known here: alpha, d",
        ),
        (
            "training: {stages: {chat: {kind: sft, parent: prtrain}}}",
            "chat starts from 'prtrain', which is no stage: known are pretrain, chat",
        ),
        (
            "training: {pretrain: {parent: base}}",
            "pretrain starts from 'base', which is no stage: set training.base",
        ),
        (
            "training: {stages: {a: {kind: sft, parent: b}, b: {kind: sft, parent: a}}}",
            "a, b start from each other in a circle",
        ),
        ("tokens: {mixture: {sources: {twitter: {weight: 1}}}}", "['twitter'], not among"),
        ("tokens: {mixture: {by: weights, sources: {oscar: {}}}}", "['wikipedia'] have no weight"),
        (
            "corpus: {overrides: {leis: {quality: {min_words: 9}}}}",
            "corpus.overrides names ['leis'], not among the sources: oscar, wikipedia",
        ),
        (
            "corpus: {overrides: {oscar: {quality: {min_wrods: 9}}}}",
            "corpus.overrides.oscar.quality.min_wrods is not a known key; known here: char_dup",
        ),
        (
            "corpus: {overrides: {oscar: {pii: {action: drop}}}}",
            "corpus.overrides.oscar.pii is not a known key; known here: c4, language, madlad",
        ),
        (
            "corpus: {overrides: {oscar: {quality: {stop_words: [de]}}}}",
            "corpus.overrides.oscar: quality.stop_words cannot differ by source",
        ),
        (
            "corpus: {language: {enabled: false}, overrides: {oscar: {language: {enabled: true}}}}",
            "overrides.oscar.language.enabled is true, but no language is identified",
        ),
    ],
)
def test_a_bad_value_names_key_value_and_range(tmp_path: Path, yaml: str, says: str) -> None:
    path = write(tmp_path, "r.yaml", f"name: r\n{yaml}\n" + SOURCES)
    with pytest.raises(RecipeError) as error:
        load_recipe(path)
    assert str(path) in str(error.value)
    assert says in str(error.value)


def test_an_error_names_the_file_that_the_value_came_from(tmp_path: Path) -> None:
    base = write(tmp_path, "base.yaml", "name: base\nseed: -1\n" + SOURCES)
    child = write(tmp_path, "child.yaml", "extends: base.yaml\nname: child\n")
    with pytest.raises(RecipeError, match=f"{base}: seed = -1"):
        load_recipe(child)


@pytest.mark.parametrize(
    ("text", "says"),
    [("a: [", "not valid YAML"), ("- a", "must be a mapping"), ("name: r", "sources is missing")],
)
def test_a_file_that_is_no_recipe_says_why(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        load_recipe(write(tmp_path, "r.yaml", text))


def test_a_missing_recipe_lists_those_that_exist() -> None:
    with pytest.raises(RecipeError, match=r"no recipe nada.*sample"):
        load_recipe("nada")


def test_tiny_shrinks_sizes_and_leaves_rules_alone(tmp_path: Path) -> None:
    yaml = "training: {model: {hidden: 2048, layers: 24, heads: 16}, pretrain: {steps: 3000000}}\n"
    path = write(tmp_path, "r.yaml", "name: r\n" + yaml + SOURCES)
    full, tiny = load_recipe(path), load_recipe(path, "tiny")
    assert (full.training.model.hidden, full.training.pretrain.steps) == (2048, 3_000_000)
    assert (tiny.training.model.hidden, tiny.training.model.layers) == (128, 4)
    assert tiny.training.pretrain.steps == 100
    assert tiny.corpus == full.corpus
    with pytest.raises(RecipeError, match="scale 'huge'"):
        load_recipe(path, "huge")


def test_a_section_changes_only_with_what_decides_it(tmp_path: Path) -> None:
    def recipe(yaml: str) -> Recipe:
        return load_recipe(write(tmp_path, "r.yaml", f"name: r\n{yaml}\n" + SOURCES))

    base, stricter = recipe(""), recipe("corpus: {quality: {min_words: 100}}")
    for asset in ("documents", "signatures", "clusters", "tokenizer", "pretrain", "scores"):
        assert fingerprint(base.section(asset)) == fingerprint(stricter.section(asset))
    assert fingerprint(base.section("filtered")) != fingerprint(stricter.section("filtered"))


def test_an_override_says_only_what_differs_and_inherits_the_rest(tmp_path: Path) -> None:
    yaml = (
        "corpus:\n  quality: {min_words: 60}\n  overrides:\n    oscar:\n"
        "      quality: {max_words: 900}\n      repetition: {dup_n_grams: {5: 0.3}}\n"
    )
    corpus = load_recipe(write(tmp_path, "r.yaml", f"name: r\n{yaml}\n" + SOURCES)).corpus
    own = corpus.for_source("oscar")
    assert (own.quality.min_words, own.quality.max_words) == (60, 900)
    assert own.repetition.dup_n_grams == {**corpus.repetition.dup_n_grams, 5: 0.3}
    assert own.repetition.dup_line_frac == corpus.repetition.dup_line_frac
    assert corpus.for_source("wikipedia") == corpus.model_copy(update={"overrides": {}})
    given = {"oscar": {"quality": {"max_words": 900}, "repetition": {"dup_n_grams": {"5": 0.3}}}}
    assert corpus.as_json()["overrides"] == given


def test_an_override_of_one_source_decides_its_own_partitions_alone(tmp_path: Path) -> None:
    def sections(yaml: str) -> list[str]:
        recipe = load_recipe(write(tmp_path, "r.yaml", f"name: r\n{yaml}\n" + SOURCES))
        kinds = [(asset, name) for asset in PER_SOURCE for name in ("oscar", "wikipedia")]
        return [fingerprint(recipe.section(*kind)) for kind in [*kinds, ("measured", None)]]

    base = sections("")
    other = sections("corpus: {overrides: {oscar: {quality: {min_words: 9}}}}")
    assert [a == b for a, b in zip(base, other, strict=True)] == [True, True, False, True, True]
    # An override that comes to the same makes nothing stale.
    assert sections("corpus: {overrides: {oscar: {quality: {min_words: 50}}}}") == base


def test_the_path_of_a_source_stays_out_of_its_fingerprint(tmp_path: Path) -> None:
    here = load_recipe(write(tmp_path, "a.yaml", "name: r\n" + SOURCES))
    there = SOURCES.replace("sample:oscar", "/mnt/oscar")
    moved = load_recipe(write(tmp_path, "b.yaml", "name: r\n" + there))
    assert fingerprint(here.section("oscar")) == fingerprint(moved.section("oscar"))


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("recipes/*.yaml")))
@pytest.mark.parametrize("scale", ["full", "tiny"])
def test_every_shipped_recipe_is_valid_at_every_scale(path: Path, scale: str) -> None:
    recipe = load_recipe(path, scale)
    assert recipe.name == path.stem
    assert recipe.description


def test_another_recipes_corpus_takes_the_place_of_this_ones(tmp_path: Path) -> None:
    yaml = "tokens: {tokenizer: {vocabulary: 900}, mixture: {sources: {oscar: {weight: 2}}}}\n"
    path = write(tmp_path, "r.yaml", "name: r\ntraining: {pretrain: {steps: 7}}\n" + yaml + SOURCES)
    tried, sample = load_recipe(path, sources="sample"), load_recipe("sample")
    assert tried.name == "r-on-sample"
    assert (tried.sources, tried.corpus) == (sample.sources, sample.corpus)
    assert tried.tokens.mixture == sample.tokens.mixture
    assert (tried.tokens.tokenizer.vocabulary, tried.training.pretrain.steps) == (900, 7)


def test_stages_take_one_slice_of_the_mixture_after_the_other(tmp_path: Path) -> None:
    stages = "{small: {kind: prune, target: {layers: 2}, steps: 5}, soup: {kind: average}}"
    yaml = f"training: {{pretrain: {{steps: 10}}, stages: {stages}}}\n"
    training = load_recipe(write(tmp_path, "r.yaml", "name: r\n" + yaml + SOURCES)).training
    assert training.slices == {"pretrain": (0, 80), "small": (80, 40)}


def test_where_a_training_runs_is_no_part_of_what_it_is(tmp_path: Path) -> None:
    def section(yaml: str) -> str:
        text = f"name: r\ntraining: {{pretrain: {{{yaml}}}}}\n" + SOURCES
        return fingerprint(load_recipe(write(tmp_path, "r.yaml", text)).section("pretrain"))

    base = section("processes: 2, micro_batch: 4")
    assert base == section("processes: 1, micro_batch: 2, accumulation: 4, zero_stage: 3")
    assert base != section("processes: 4, micro_batch: 4")
    assert base != section("processes: 2, micro_batch: 4, clip: 2")
