from __future__ import annotations

from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers.jsonl import JsonlWriter

from tagarela_dagster.corpus.datatrove import TagarelaFilter
from tagarela_dagster.recipe.corpus import Corpus
from tagarela_dagster.recipe.filtering import Licenses
from tests.corpus.filtering.filter_prose import BUS, MARKET
from tests.corpus.filtering.test_language import GALICIAN


def documents() -> list[Document]:
    return [
        Document(text="Menu\n" + MARKET + "\nreservas em rui@sapo.pt ou na banca.", id="a"),
        Document(text="Menu\n" + GALICIAN, id="b"),
        Document(text=BUS, id="c", metadata={"license": "CC0-1.0"}),
    ]


def test_it_is_an_ordinary_datatrove_filter() -> None:
    filter_ = TagarelaFilter(batch_size=2)
    kept = list(filter_.run(iter(documents())))
    assert [document.id for document in kept] == ["a", "c"]
    assert kept[0].text == MARKET + "\nreservas em [e-mail] ou na banca."
    assert kept[0].metadata["language"] == "pt"
    assert kept[0].metadata["quality"]["lines_removed"] == 1
    assert kept[0].metadata["quality"]["words"] > 80
    counts = {name: metric.total for name, metric in filter_.stats.stats.items()}
    assert (counts["total"], counts["forwarded"], counts["dropped"]) == (3, 2, 1)
    assert counts["dropped_language"] == 1


def test_one_document_is_judged_as_in_a_batch() -> None:
    filter_ = TagarelaFilter()
    assert [filter_.filter(document) for document in documents()] == [
        True,
        (False, "language"),
        True,
    ]


def test_the_licence_gate_needs_to_know_where_the_licence_stands() -> None:
    corpus = Corpus(licenses=Licenses(allow=["CC0-1.0"]))
    filter_ = TagarelaFilter(corpus, license_key="license")
    assert filter_.filter_batch(documents()) == [
        (False, "license_missing"),
        (False, "license_missing"),
        True,
    ]


class Texts(PipelineStep):
    """Yields the documents of this test."""

    name = "texts"
    type = "test"

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        yield from documents()


def test_it_runs_in_a_pipeline_and_dropped_documents_can_be_kept(tmp_path: Path) -> None:
    dropped = JsonlWriter(str(tmp_path / "dropped"), compression=None)
    kept = JsonlWriter(str(tmp_path / "kept"), compression=None)
    LocalPipelineExecutor(
        [Texts(), TagarelaFilter(exclusion_writer=dropped), kept],
        tasks=1,
        logging_dir=str(tmp_path / "logs"),
    ).run()
    [kept_file] = (tmp_path / "kept").iterdir()
    [dropped_file] = (tmp_path / "dropped").iterdir()
    assert len(kept_file.read_text().splitlines()) == 2
    assert '"filter_reason":"language"' in dropped_file.read_text().replace(" ", "")
