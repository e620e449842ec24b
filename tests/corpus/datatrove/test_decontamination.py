from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datatrove.data import Document
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
from datatrove.utils.text import TextNormConfig, ngrams, simplify_text

from tagarela_dagster.corpus.datatrove import DecontaminationFilter
from tagarela_dagster.recipe.decontamination import Decontamination
from tests.corpus.datatrove.side_by_side import counted, fates, run_steps, texts
from tests.corpus.filtering.filter_prose import BUS, MARKET

RUN = 13
ITEMS = {
    "exame": "As vendedoras chegam com cestos de figos, de couves e de pão de milho, e arrumam "
    "tudo em silêncio antes de o sol nascer na vila.",
    "provas": "Um rapaz tirou o violão da capa e começou a tocar baixinho, só para passar o tempo.",
}


@pytest.fixture
def items(tmp_path: Path) -> Path:
    folder = tmp_path / "items"
    folder.mkdir()
    for task, text in ITEMS.items():
        line = json.dumps({"text": text}, ensure_ascii=False)
        (folder / f"{task}.jsonl").write_text(line + "\n", encoding="utf-8")
    return folder


def datatrove_filter(folder: Path) -> NGramsDecontFilter:
    """datatrove's filter with an index in its own format (its indexer wants lighteval)."""
    config = NGramsDecontConfig(n_grams=RUN, norm_config=TextNormConfig(norm_numbers=False))
    folder.mkdir()
    filter_ = NGramsDecontFilter(str(folder), config, language="por")
    for task, text in ITEMS.items():
        words = filter_.tokenizer.word_tokenize(simplify_text(text, config.norm_config))
        hashes = [filter_.hash_func(" ".join(run)) for run in ngrams(words, RUN)]
        np.array(hashes, np.uint64).tofile(folder / f"{task}.index.hashes")
    return filter_


def test_the_same_documents_go_as_with_datatroves_filter(tmp_path: Path, items: Path) -> None:
    given = [*texts(), BUS.upper()]
    peer = datatrove_filter(tmp_path / "index")
    expected = run_steps(tmp_path / "peer", peer, given=given)
    own = DecontaminationFilter(items, batch_size=20)
    found = run_steps(tmp_path / "own", own, given=given)
    assert fates(found) == fates(expected)
    dropped = [n for n, (_, reason) in fates(found).items() if reason == "contaminated"]
    assert len(dropped) >= 5
    for number in dropped:
        theirs, ours = expected[number]["metadata"], found[number]["metadata"]
        assert ours["contaminated_task"] == theirs["contaminated_task"]
        # The whole run as it stands in the text; datatrove has the first words of it, normalized.
        assert ours["contaminated_ngram"] in found[number]["text"]
    names = ["total", "dropped", "dropped_contaminated", *(f"contaminated_{t}" for t in ITEMS)]
    counts, expected_counts = counted(own, given), counted(peer, given)
    assert [counts[name] for name in names] == [expected_counts[name] for name in names]


def test_a_copy_may_be_masked_or_reported(items: Path) -> None:
    def judged(**config: Any) -> tuple[Any, Document]:
        document = Document(text=MARKET, id="a")
        filter_ = DecontaminationFilter([items / "exame.jsonl"], Decontamination(**config))
        return filter_.filter(document), document

    result, document = judged(action="mask")
    assert result is True and "cestos de figos" not in document.text
    assert document.metadata["contamination"][0]["task"] == "exame"
    result, document = judged(action="report")
    assert result is True and document.text == MARKET
    assert [m["action"] for m in document.metadata["contamination"]] == ["report"]


def test_items_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nada"):
        DecontaminationFilter(tmp_path / "nada")
