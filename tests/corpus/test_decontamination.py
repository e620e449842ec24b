from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagarela_dagster.corpus.decontamination import (
    BenchmarkError,
    BenchmarkItem,
    ItemIndex,
    Match,
    contamination_report,
    make_kernel,
    read_benchmark_items,
    reason,
    rolling_hashes,
)
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.stage import run_stage
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.decontamination import Decontamination

BAKER = (
    "O padeiro levantava-se às três da manhã para acender o forno, amassar a farinha e deixar "
    "levedar a massa. Às sete já cheirava a"
)
ISLAND = "A ilha do Farol tem 12 casas, nenhuma escola e um"
ITEMS = [
    {"id": "p", "sentence": BAKER, "last_word": "pão"},
    {"id": "i", "sentence": ISLAND, "last_word": "faroleiro"},
    {"id": "c", "sentence": "Choveu o dia", "last_word": "inteiro"},
]


def write_items(folder: Path, task: str = "ultima_palavra", items: Sequence = ITEMS) -> Path:
    path = folder / f"{task}.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def index(folder: Path, **section: int) -> ItemIndex:
    return ItemIndex(read_benchmark_items([write_items(folder)]), Decontamination(**section))


def found(matches: list[list[Match]]) -> list[list[tuple[str, int]]]:
    return [[(m.item, len(m.words.split())) for m in of_text] for of_text in matches]


def test_a_copied_item_is_found_whatever_its_case_punctuation_and_accents(tmp_path: Path) -> None:
    copies = [
        f"Lido no jornal: «{BAKER} pão», dizia.",
        BAKER.upper().replace(",", " ;").replace("Ã", "A"),
        "Nada a ver com padeiros nem com fornos, só com o cheiro do mar pela manhã cedo.",
        "",
    ]
    assert found(index(tmp_path).search(copies)) == [[("p", 26)], [("p", 25)], [], []]


def test_thirteen_words_of_an_item_match_and_twelve_do_not(tmp_path: Path) -> None:
    words = BAKER.replace("-", " ").split()
    texts = [" ".join([*words[3:n], "amanhã"]) for n in (16, 15)]
    assert found(index(tmp_path).search(texts)) == [[("p", 13)], []]


def test_an_item_shorter_than_a_run_must_be_contained_whole(tmp_path: Path) -> None:
    texts = [
        f"Sabe-se que {ISLAND.lower()} faroleiro, que vive só.",
        f"Sabe-se que {ISLAND.lower()} moinho.",
        f"Sabe-se que {ISLAND.lower()} faroleiro.".replace("12", "13"),
    ]
    assert found(index(tmp_path).search(texts)) == [[("i", 12)], [], []]


def test_items_under_the_least_number_of_words_are_counted_and_not_searched(
    tmp_path: Path,
) -> None:
    found_index = index(tmp_path)
    assert found_index.skipped == {"ultima_palavra": 1}
    assert found_index.search(["Choveu o dia inteiro."]) == [[]]
    assert found(index(tmp_path, min_item_words=4).search(["Choveu o dia inteiro."])) == [
        [("c", 4)]
    ]


def test_a_run_does_not_reach_into_the_next_document(tmp_path: Path) -> None:
    words = f"{ISLAND} faroleiro".split()
    split = [" ".join(words[:6]), " ".join(words[6:])]
    assert index(tmp_path).search(split) == [[], []]
    assert len(index(tmp_path).search([" ".join(split)])[0]) == 1


def test_the_kernel_drops_names_the_task_and_reports_the_words(tmp_path: Path) -> None:
    other = [{"text": "Quantos quilómetros quadrados tem o concelho de Alcácer do Sal em 2021"}]
    files = [write_items(tmp_path), write_items(tmp_path, "Prova-OAB.2", other)]
    texts = [
        "Um texto sem prova nenhuma, escrito à mão numa tarde de chuva em Trancoso.",
        f"{other[0]['text']}? {BAKER} pão.",
        f"{BAKER} pão.",
    ]
    rows = [Document(f"{i}", text).row("blogues", "2026") for i, text in enumerate(texts)]
    pq.write_table(pa.Table.from_pylist(rows, DOCUMENT_SCHEMA), tmp_path / "in.parquet")
    lake = Lake(tmp_path / "lake")
    with lake.write("clean", "blogues@2026", code_version="", section={}, inputs={}) as writer:
        kernel = partial(make_kernel, files, Decontamination())
        manifest = run_stage(writer, [tmp_path / "in.parquet"], kernel)
    assert manifest.counts["ledger"]["dropped"] == {
        "benchmark_prova_oab_2": 1,
        "benchmark_ultima_palavra": 1,
    }
    report = list(contamination_report(lake.paths(manifest, "dropped/")))
    assert [(r["document"], r["task"], r["item"]) for r in report] == [
        (rows[1]["id"], "Prova-OAB.2", "line 1"),
        (rows[1]["id"], "ultima_palavra", "p"),
        (rows[2]["id"], "ultima_palavra", "p"),
    ]
    assert report[0]["words"] == (
        "quantos quilometros quadrados tem o concelho de alcacer do sal em 2021"
    )


def test_switched_off_it_keeps_everything(tmp_path: Path) -> None:
    kernel = make_kernel([write_items(tmp_path)], Decontamination(enabled=False))
    row = Document("1", f"{BAKER} pão").row("blogues", "2026")
    outcome = kernel(pa.RecordBatch.from_pylist([row], DOCUMENT_SCHEMA))
    assert outcome.reasons.to_pylist() == [None]


def test_an_item_without_text_is_refused_with_file_and_line(tmp_path: Path) -> None:
    path = write_items(tmp_path, "faquad", [{"question": "Quem?"}])
    with pytest.raises(BenchmarkError, match=r"faquad\.jsonl, line 1: an item needs `text`"):
        make_kernel([path], Decontamination())


def test_reasons_are_plain_names() -> None:
    assert reason("Última palavra (pt-PT)") == "benchmark_ultima_palavra_pt_pt"


def test_equal_runs_have_equal_hashes_wherever_they_stand() -> None:
    words = np.array([3, 1, 4, 1, 5, 9, 3, 1, 4, 1], np.uint64)
    values = rolling_hashes(words, 4)
    assert len(values) == 7
    assert values[0] == values[6]
    assert len(set(values.tolist())) == 6
    assert rolling_hashes(words, 11).tolist() == []


WORDS = st.lists(st.sampled_from("abc"), max_size=14)


@given(st.lists(WORDS, max_size=4), st.lists(WORDS, max_size=4))
def test_matches_equal_a_search_word_by_word(items: list, documents: list) -> None:
    named = [BenchmarkItem("t", str(i), " ".join(words)) for i, words in enumerate(items)]
    section = Decontamination(n_grams=5, min_item_words=2)
    searched = ItemIndex(named, section).search([" ".join(words) for words in documents])
    for words, matches in zip(documents, searched, strict=True):
        expected = any(
            item[start : start + length] == words[at : at + length]
            for item in items
            if len(item) >= 2
            for length in [min(5, len(item))]
            for start in range(len(item) - length + 1)
            for at in range(len(words) - length + 1)
        )
        assert bool(matches) == expected
        for match in matches:
            assert match.words in " ".join(words)
