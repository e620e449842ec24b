from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import yaml

from tagarela_dagster.corpus.card import counts
from tagarela_dagster.corpus.card.counts import Counts
from tagarela_dagster.corpus.card.facts import CorpusFacts, describe_corpus
from tagarela_dagster.corpus.card.text import card_text, write_card
from tagarela_dagster.provenance.lake import Lake, MissingPartitionError
from tests.corpus.card.tiny_corpus import make_lake, make_recipe

CARD = {"contact": "<corpus@example.pt>", "gaps": {"pt": ["Faltam jornais."]}}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> CorpusFacts:
    recipe = make_recipe(**CARD)
    return describe_corpus(make_lake(tmp_path_factory.mktemp("lake"), recipe), recipe)


def test_facts_are_counted_from_the_clean_shards(facts: CorpusFacts) -> None:
    assert (facts.documents, facts.bytes) == (5, 137)
    assert facts.licenses == (("CC-BY-4.0", 4), ("LicenseRef-public-domain", 1))
    assert facts.varieties == (("pt-PT", 4), ("", 1))
    assert facts.years == (("", 1), ("1899", 1), ("2021", 2), ("2022", 1))
    assert facts.hosts == (("pao.example.pt", 2), ("linha.example", 1))
    assert (facts.hosts_known, facts.without_url) == (2, 2)
    assert [(s.name, s.snapshots, s.documents, s.tokens) for s in facts.sources] == [
        ("blogues", ("2021", "2022"), 4, None),
        ("livros", ("1",), 1, None),
    ]


def test_facts_tell_what_every_stage_dropped_and_by_which_settings(facts: CorpusFacts) -> None:
    dropped = {stage.name: stage.dropped for stage in facts.stages if stage.dropped}
    assert dropped == {
        "filtered": (("top_2_gram", 6, 150),),
        "clean": (("benchmark_oab", 3, 60),),
    }
    assert facts.settings["clean"]["decontamination"]["n_grams"] == 13
    assert facts.benchmarks == ("oab",)


def test_a_corpus_that_is_not_made_has_no_card(tmp_path: Path) -> None:
    with pytest.raises(MissingPartitionError, match="clean has no partition yet"):
        describe_corpus(Lake(tmp_path), make_recipe())


def test_of_a_stage_that_was_made_again_after_clean_nothing_is_told(tmp_path: Path) -> None:
    recipe = make_recipe()
    lake = make_lake(tmp_path, recipe)
    key = "livros@1"
    with lake.write("filtered", key, code_version="2", section={}, inputs={}) as writer:
        writer.publish([], lake.require("filtered", key).counts)
    with pytest.raises(MissingPartitionError, match=r"filtered\[livros@1\] is not any more what"):
        describe_corpus(lake, recipe)


def test_the_card_opens_with_what_the_hub_reads(facts: CorpusFacts, tmp_path: Path) -> None:
    text = write_card(facts, tmp_path, "en").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---\n")[1])
    assert (head["license"], head["license_name"]) == ("other", "per-document")
    assert (head["language"], head["size_categories"]) == (["pt"], ["n<1K"])
    assert [c["data_files"] for c in head["configs"]] == [
        "data/*/*.parquet",
        "data/blogues/*.parquet",
        "data/livros/*.parquet",
    ]


def test_both_languages_tell_the_same_figures(facts: CorpusFacts) -> None:
    english, portuguese = card_text(facts, "en"), card_text(facts, "pt")
    for row in (
        "| filtered | top\\_2\\_gram | 6 |",
        "| pao.example.pt | 2 | 40",
        "| clean | benchmark\\_oab | 3 |",
    ):
        assert row in english
        assert row in portuguese
    assert "- 40.0% of the documents have no URL." in english
    assert "- 80.0% of the documents are pt-PT." in english
    assert "- 80,0% dos documentos são pt-PT." in portuguese
    assert "Faltam jornais." in portuguese
    assert "Write to \\<corpus@example.pt\\> with" in english
    assert "13 palavras seguidas com um item de oab" in portuguese


def test_without_a_contact_the_card_says_so(tmp_path: Path) -> None:
    recipe = make_recipe()
    facts = describe_corpus(make_lake(tmp_path, recipe), recipe)
    assert "The recipe names no contact" in card_text(facts, "en")


def test_of_too_many_hosts_the_rarest_are_forgotten_and_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counts, "MAX_HOSTS", 4)
    found = Counts()
    urls = [f"https://h{n % 6}.pt/{n}" for n in range(9)]
    frame = pl.DataFrame({"url": urls}).with_columns(
        date=pl.lit(None, pl.Date),
        license=pl.lit(None, pl.String),
        variety=pl.lit("pt-PT"),
        language=pl.lit("pt"),
    )
    found.add(frame)
    assert found.hosts == {"h0.pt": 2, "h1.pt": 2}
    assert found.hosts_forgotten
