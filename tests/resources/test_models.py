from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.models.training_set import TrainingTextError
from tagarela_dagster.provenance.lake import MissingPartitionError
from tagarela_dagster.recipe.load import RecipeError
from tagarela_dagster.recipe.model import Recipe
from tagarela_dagster.resources.making import making
from tagarela_dagster.resources.road import Road
from tests.corpus.models.texts import BRAZIL, PORTUGAL, passages
from tests.resources.laying import lay_source
from tests.resources.two_sources import PARAGRAPHS, open_road, write_snapshot

MODELS = """\
corpus:
  models:
    variety:
      data: [{{path: "{folder}/rotulos.jsonl", group: doc}}]
      features: {{bits: 14}}
    perplexity: {{sources: [jornal], order: 2, held_out: 0.3}}
    classifiers:
      cuidado: {{positive: [jornal], negative: [diario], features: {{bits: 12}}, min_score: 0.5}}
"""
NAMES = ("variety_model", "perplexity_model", "classifiers")


def make(road: Road, asset: str, partition: str | None = None) -> None:
    with road.writing(asset, partition) as writer:
        making(road, asset, partition)(writer)


def make_up_to_documents(road: Road, *keys: str) -> None:
    for key in keys:
        lay_source(road, key)
        make(road, "documents", key)


@pytest.fixture
def road(tmp_path: Path) -> Road:
    rows = [{"text": p.text, "variety": p.label, "doc": p.document} for p in passages()]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "rotulos.jsonl").write_text(lines, encoding="utf-8")
    write_snapshot(tmp_path, "jornal@1", PARAGRAPHS)
    junk = [f"Compre já!!! oferta {i} $$$ clique aqui 50% OFF grátis " * 9 for i in range(8)]
    write_snapshot(tmp_path, "diario@1", junk)
    return open_road(tmp_path, MODELS.format(folder=tmp_path))


def test_models_are_trained_on_named_sources_and_score_every_document(road: Road) -> None:
    keys = ["jornal@1", "diario@1"]
    make_up_to_documents(road, *keys)
    assert set(NAMES) <= set(road.stations)
    for name in NAMES:
        make(road, name)
        assert road.state(name) == "fresh"
    variety = road.lake.require("variety_model")
    assert sorted(variety.inputs) == ["data:0"]
    assert sorted(road.lake.require("classifiers").inputs) == [
        "documents[diario@1]",
        "documents[jornal@1]",
    ]
    for key in keys:
        make(road, "measured", key)
        make(road, "filtered", key)
    table = pq.read_table(road.beside("jornal@1", ("measured", "kept/"))[0].paths[0])
    rows = table.to_pylist()
    assert all(0 < row["variety_score"] < 1 for row in rows)
    assert all(row["quality"]["perplexity"] > 1 for row in rows)
    assert {row["quality"]["perplexity_tier"] for row in rows} <= {0, 1, 2}
    assert all(row["quality"]["score_1"] > 0.5 for row in rows)
    assert all(row["quality"]["score_2"] is None for row in rows)
    guessed = {row["variety"] for row in rows}
    assert guessed <= {None, "pt-PT", "pt-BR"} and guessed != {None}
    junk = pq.read_table(road.beside("diario@1", ("filtered", "decisions/"))[0].paths[0])
    assert None not in junk.column("reason").to_pylist()


def test_a_new_snapshot_leaves_the_models_and_what_was_measured_fresh(
    road: Road, tmp_path: Path
) -> None:
    make_up_to_documents(road, "jornal@1", "diario@1")
    for name in NAMES:
        make(road, name)
    make(road, "measured", "jornal@1")
    write_snapshot(tmp_path, "jornal@2", [*BRAZIL, *PORTUGAL])
    later = open_road(tmp_path, MODELS.format(folder=tmp_path))
    make_up_to_documents(later, "jornal@2")
    make(later, "measured", "jornal@2")
    assert [later.state(name) for name in NAMES] == ["fresh"] * 3
    assert later.state("measured", "jornal@1") == "fresh"
    # A threshold makes stale what decides, and nothing else.
    more = MODELS.format(folder=tmp_path).replace("min_score: 0.5", "min_score: 0.6")
    stricter = open_road(tmp_path, more)
    assert stricter.state("measured", "jornal@1") == "fresh"
    assert stricter.version("filtered", "jornal@1") != later.version("filtered", "jornal@1")
    # Other labels do.
    with (tmp_path / "rotulos.jsonl").open("a") as file:
        file.write(json.dumps({"text": "Olá", "variety": "pt-PT", "doc": "x"}) + "\n")
    assert later.state("variety_model") == "stale: data:0 changed"


def test_a_labelled_file_of_another_name_is_another_source_of_the_model(road: Road) -> None:
    def version(name: str) -> str:
        recipe = road.recipe.model_dump(mode="json")
        recipe["corpus"]["models"]["variety"]["data"][0]["path"] = name
        return Road(Recipe.model_validate(recipe), road.home).version("variety_model")

    assert version("/a/rotulos.jsonl") == version("/b/rotulos.jsonl") != version("/a/outros.jsonl")


def test_without_training_sources_there_is_no_model_station(tmp_path: Path) -> None:
    road = open_road(tmp_path)
    assert not set(NAMES) & set(road.stations)
    assert road.reads("measured") == ("documents",)


def test_what_cannot_be_trained_says_why(tmp_path: Path) -> None:
    for key in ("jornal@1", "diario@1"):
        write_snapshot(tmp_path, key, PARAGRAPHS)
    more = "corpus: {models: {variety: {sources: [jornal]}}}\n"
    road = open_road(tmp_path, more)
    with pytest.raises(MissingPartitionError, match="trained on jornal, which has no snapshot"):
        make(road, "variety_model")
    make_up_to_documents(road, "jornal@1")
    with pytest.raises(TrainingTextError, match="no training text is labelled 'pt-BR'"):
        make(road, "variety_model")
    with pytest.raises(RecipeError, match="revista"):
        open_road(tmp_path, more.replace("jornal", "revista"))
